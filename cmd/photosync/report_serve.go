package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"photosync/sync/report"
)

// serve shows the reports of a folder to browsers on this machine, until it is stopped.
// It writes nothing.
func (a *app) serve(ctx context.Context, address, folder string) error {
	if host, _, err := net.SplitHostPort(address); err != nil {
		return usage(fmt.Errorf("--serve %q: want HOST:PORT, such as 127.0.0.1:8080", address))
	} else if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return usage(fmt.Errorf("--serve %q: want an address of this machine alone, such as 127.0.0.1:8080, as reports hold names and pictures", address))
	}
	page, err := reportPages(folder)
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

// reportPages answers with the pages of the reports in a folder. Each page is made from
// the JSON file when it is asked for. Links are left out: they may lead elsewhere.
func reportPages(folder string) (http.Handler, error) {
	if _, err := os.ReadDir(folder); err != nil {
		return nil, fmt.Errorf("serve reports: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>photosync: reports</title><h1>Reports, the newest first</h1><ul>`)
		for _, e := range slices.Backward(entries) { // a run's id begins with its time
			if name, is := strings.CutSuffix(e.Name(), ".json"); is && e.Type().IsRegular() {
				fmt.Fprintf(w, "<li><a href=\"%[1]s.html\">%[1]s</a></li>", html.EscapeString(name))
			}
		}
	})
	mux.HandleFunc("GET /{page}", func(w http.ResponseWriter, r *http.Request) {
		name, _ := strings.CutSuffix(r.PathValue("page"), ".html")
		file := filepath.Join(folder, filepath.Base(name+".json"))
		if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() || filepath.Base(name) != name {
			http.NotFound(w, r)
			return
		}
		var page bytes.Buffer
		rep, err := report.Read(file)
		if err == nil {
			err = rep.Encode(&page, "html")
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		page.WriteTo(w) // a browser that went away needs no answer
	})
	return local(mux), nil
}

// local refuses requests that do not name this machine: a page of the web could read
// reports through a name of its own that points here.
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
