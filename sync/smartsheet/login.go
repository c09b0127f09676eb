package smartsheet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"photosync/sync/foreign"
	"photosync/sync/safefile"
)

// Login lets a person allow an app to act for them, and stores the refresh token (OAuth walkthrough
// of the API reference; RFC 8252 for the redirect to this machine, RFC 7636 for PKCE, which
// Smartsheet does not document and may ignore by RFC 6749).
type Login struct {
	BaseURL   string
	OAuth2    OAuth2
	Transport http.RoundTripper
	Timeout   time.Duration     // of the call for the token
	Redirect  string            // the redirect URL that the app is registered with, on this machine
	Replace   bool              // replace the file of the refresh token; otherwise an existing file is an error
	Show      func(page string) // shows the address of the page that the person has to open
	Pasted    <-chan string     // addresses to which the browser of another machine was redirected; may be nil
}

// Run waits until somebody allows or refuses the app, or ctx ends.
func (l Login) Run(ctx context.Context) error {
	path := l.OAuth2.RefreshTokenFile
	name, hint := path, "with --replace a new refresh token takes the place of the one in it"
	if real, err := safefile.Real(path); l.Replace && err == nil {
		path, name, hint = real, real+".login", "another login is under way; if not, remove this file"
	} else if l.Replace && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := reserve(name, path)
	if errors.Is(err, fs.ErrExist) {
		return &Error{Op: "log in", Err: fmt.Errorf("%q is already there", name), advice: hint}
	}
	if err != nil {
		return err
	}
	defer file.Discard()
	client := &http.Client{Transport: l.Transport, CheckRedirect: refuseRedirect}
	a := newAuth(Options{BaseURL: strings.TrimRight(l.BaseURL, "/"), OAuth2: &l.OAuth2, Timeout: l.Timeout}, client)
	a.renewals = "try again: a code is good once, and for ten minutes"
	a.exchange.RedirectURL, a.exchange.Scopes = l.Redirect, []string{"ADMIN_USERS", "READ_USERS", "WRITE_SHEETS"}
	a.exchange.Endpoint.AuthURL = authorizePage(l.BaseURL)
	verifier, state := oauth2.GenerateVerifier(), rand.Text()
	code, err := l.code(ctx, state, a.exchange.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)))
	if err != nil {
		return err
	}
	a.secrets.add(code)
	xctx, cancel := context.WithTimeoutCause(context.WithValue(ctx, oauth2.HTTPClient, client), l.Timeout, errTimeout)
	defer cancel()
	got, err := a.exchange.Exchange(xctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return a.refused(xctx, err)
	}
	if got.RefreshToken == "" {
		return errors.New("log in: Smartsheet gave no refresh token")
	}
	a.file.path = path
	return a.file.locked(ctx, func() error { // so that no run uses the old token meanwhile
		if err := store(file, got.RefreshToken); err != nil {
			return err
		}
		a.file.remember(got)
		return nil
	})
}

// authorizePage returns the page on which people allow the app: on the site of their region, or on the host itself.
func authorizePage(baseURL string) string {
	u, _ := url.Parse(baseURL) // the configuration has checked it
	return u.Scheme + "://" + strings.Replace(u.Host, "api.smartsheet", "app.smartsheet", 1) + "/b/authorize"
}

// code shows the page, and waits for the browser to come back with a code.
func (l Login) code(ctx context.Context, state, page string) (string, error) {
	u, err := url.Parse(l.Redirect)
	if err != nil || u.Scheme != "http" || !foreign.Loopback(u.Hostname()) || u.Port() == "" {
		return "", fmt.Errorf("redirect address %q: want http://localhost:PORT/PATH", l.Redirect)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", u.Host)
	if err != nil {
		return "", fmt.Errorf("wait for the browser: %w", err)
	}
	answers := make(chan url.Values, 1)
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/"+strings.TrimPrefix(u.Path, "/") || q.Get("state") != state {
			http.Error(w, "This is not the answer that photosync waits for.", http.StatusBadRequest)
			return
		}
		const thanks = "photosync has the answer. You may close this window.\n"
		w.Header().Set("Content-Length", strconv.Itoa(len(thanks)))
		io.WriteString(w, thanks)
		http.NewResponseController(w).Flush() // before this server ends
		select {
		case answers <- q:
		default: // the browser asked twice
		}
	})}
	defer srv.Close()
	go srv.Serve(listener)
	l.Show(page)
	for {
		select {
		case q := <-answers:
			return codeOf(q)
		case text := <-l.Pasted:
			if back, err := url.Parse(strings.TrimSpace(text)); err == nil && back.Query().Get("state") == state {
				return codeOf(back.Query())
			}
		case <-ctx.Done():
			return "", fmt.Errorf("wait for the browser: %w", context.Cause(ctx))
		}
	}
}

func codeOf(q url.Values) (string, error) {
	if code := q.Get("code"); code != "" {
		return code, nil
	}
	return "", fmt.Errorf("Smartsheet did not allow it: %s", oneLine(q.Get("error")+" "+q.Get("error_description")))
}
