package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"photosync/sync/report"
)

// serve shows the report file, or all reports of the folder, at name to browsers on
// this machine, until it is stopped. It writes nothing.
func (a *app) serve(ctx context.Context, address, name string) error {
	if host, _, err := net.SplitHostPort(address); err != nil {
		return usage(fmt.Errorf("--serve %q: want HOST:PORT, such as 127.0.0.1:8080", address))
	} else if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return usage(fmt.Errorf("--serve %q: want an address of this machine alone, such as 127.0.0.1:8080, as reports hold names and pictures", address))
	}
	page, err := reportPages(name)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serve reports: %w", err)
	}
	s := &http.Server{Handler: page, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	context.AfterFunc(ctx, func() { s.Close() })
	fmt.Fprintf(a.stdout, "The reports are at http://%s/ for browsers on this machine. End it with Ctrl-C.\n", l.Addr())
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve reports: %w", err)
	}
	return nil
}

// reportPages answers with the pages of the reports in a folder, or with that of one
// report alone. Each page is made from the JSON file when it is asked for.
func reportPages(name string) (http.Handler, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("serve reports: %w", err)
	}
	mux := http.NewServeMux()
	if !info.IsDir() {
		if _, err := report.Read(name); err != nil {
			return nil, err
		}
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { servePage(w, name) })
		return local(mux), nil
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { serveIndex(w, name) })
	mux.HandleFunc("GET /{page}", func(w http.ResponseWriter, r *http.Request) {
		base, isPage := strings.CutSuffix(r.PathValue("page"), ".html")
		files, err := reportFiles(name)
		if !isPage || err != nil || !slices.Contains(files, base+".json") {
			http.NotFound(w, r)
			return
		}
		servePage(w, filepath.Join(name, base+".json"))
	})
	return local(mux), nil
}

// local refuses who does not name this machine: a page of the web cannot read reports
// through a name of its own that points here.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if host != "localhost" && (err != nil || !ip.IsLoopback()) {
			http.Error(w, "open this page as http://localhost", http.StatusForbidden)
			return
		}
		for k, v := range map[string]string{
			"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "Referrer-Policy": "no-referrer",
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			w.Header().Set(k, v)
		}
		next.ServeHTTP(w, r)
	})
}

func servePage(w http.ResponseWriter, file string) {
	r, err := report.Read(file)
	var page bytes.Buffer
	if err == nil {
		err = r.Encode(&page, "html")
	}
	if err != nil { // a file that is no report, or was pruned meanwhile
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	page.WriteTo(w) // a browser that went away needs no answer
}

// reportFiles are the names of the JSON files in a folder, the newest first. Links are
// left out: they may lead elsewhere.
func reportFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	changed := map[string]time.Time{}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Type()&fs.ModeType != 0 || path.Ext(e.Name()) != ".json" {
			continue
		}
		names = append(names, e.Name())
		changed[e.Name()] = info.ModTime()
	}
	slices.SortStableFunc(names, func(x, y string) int { return changed[y].Compare(changed[x]) })
	return names, nil
}

var reportIndex = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>photosync: reports</title>
<h1>Reports, the newest first</h1>
<ul>{{range .}}<li><a href="{{.}}.html">{{.}}</a></li>{{else}}<li>There are none yet.</li>{{end}}</ul>
`))

func serveIndex(w http.ResponseWriter, folder string) {
	files, err := reportFiles(folder)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".json")
	}
	reportIndex.Execute(w, files) // a browser that went away needs no answer
}
