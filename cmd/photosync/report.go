package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/console"
	"photosync/sync/foreign"
	"photosync/sync/report"
)

func (a *app) report() *cobra.Command {
	var format, out, serve string
	cmd := &cobra.Command{Use: "report FILE|FOLDER", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		if serve != "" {
			return a.serve(cmd.Context(), serve, args[0])
		}
		r, err := report.Read(args[0])
		if err != nil {
			return err
		}
		err = a.writeTo(out, 0o640, func(w io.Writer) error { // not for everybody: it has people's names
			if format = cmp.Or(format, a.output, "text"); format != "text" {
				return r.Encode(w, format)
			}
			console.New(w, a.env).Report(r)
			return nil
		})
		if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		return nil
	}}
	for kind, usage := range map[string]string{"html": "as a page", "csv": "as a table, a line for each person"} {
		cmd.Flags().BoolFunc(kind, usage, func(string) error { format = kind; return nil })
	}
	a.addOutput(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "write to `FILE` instead of stdout")
	cmd.Flags().StringVar(&serve, "serve", "", "show pages at `HOST:PORT` of this machine")
	cmd.MarkFlagsMutuallyExclusive("html", "csv", "output", "serve")
	cmd.MarkFlagsMutuallyExclusive("serve", "out")
	return cmd
}

// serve shows the reports in a folder to browsers on this machine, until it is stopped. It writes nothing.
func (a *app) serve(ctx context.Context, address, folder string) error {
	if _, _, err := net.SplitHostPort(address); err != nil || !foreign.Loopback(address) {
		return usage(fmt.Errorf("--serve %q: want HOST:PORT of this machine alone, such as 127.0.0.1:8080, as reports hold names and pictures", address))
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("serve reports: %w", err)
	}
	defer root.Close()
	ctx, stop := stoppable(ctx)
	defer stop()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serve reports: %w", err)
	}
	s := &http.Server{Handler: reportPages(root), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	context.AfterFunc(ctx, func() { s.Close() })
	fmt.Fprintf(a.stdout, "The reports are at http://%s/ for browsers on this machine. End it with Ctrl-C.\n", l.Addr())
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve reports: %w", err)
	}
	return nil
}

// reportPages answers with the pages of the reports in a folder, and with their list.
func reportPages(folder *os.Root) http.Handler {
	files := http.FileServerFS(folder.FS()) // follows no link that leads out of the folder
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !foreign.Loopback(r.Host): // a website could have a name that resolves to this machine, to read reports
			http.Error(w, "open this page as http://localhost", http.StatusForbidden)
		case r.Method != http.MethodGet:
			http.Error(w, "pages can only be read", http.StatusMethodNotAllowed)
		case r.URL.Path != "/" && path.Ext(r.URL.Path) != ".html":
			http.NotFound(w, r)
		default:
			for k, v := range map[string]string{
				"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
				"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				w.Header().Set(k, v)
			}
			if r.URL.Path != "/" {
				files.ServeHTTP(w, r)
				return
			}
			pages, _ := fs.Glob(folder.FS(), "*.html")
			fmt.Fprintln(w, "<!doctype html><title>photosync: reports</title>")
			for _, page := range slices.Backward(pages) { // the newest first
				fmt.Fprintf(w, "<p><a href=\"%[1]s\">%[1]s</a>\n", url.PathEscape(page))
			}
		}
	})
}
