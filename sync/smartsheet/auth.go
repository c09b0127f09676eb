package smartsheet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// OAuth2 is where access tokens come from that do not last: Smartsheet gives a new
// one, and a new refresh token, for each refresh token (POST /token).
type OAuth2 struct {
	ClientID         string
	ClientSecret     string
	RefreshTokenFile string // rewritten whenever the token rotates
}

// auth gives requests their access token.
type auth struct {
	fixed    string // a token that cannot be refreshed; empty: the others count
	exchange oauth2.Config
	http     *http.Client
	file     tokenFile
	timeout  time.Duration
	renewals string // hint where a new refresh token comes from

	mu       sync.Mutex    // held while the token is refreshed
	access   *oauth2.Token // nil: none yet
	rejected string        // the last access token that Smartsheet refused

	secrets secrets
}

func newAuth(o Options, client *http.Client) *auth {
	a := &auth{fixed: o.Token, http: client, timeout: o.Timeout}
	a.secrets.add(o.Token)
	if o.OAuth2 != nil {
		a.exchange = oauth2.Config{
			ClientID: o.OAuth2.ClientID, ClientSecret: o.OAuth2.ClientSecret,
			Endpoint: oauth2.Endpoint{TokenURL: o.BaseURL + "/token", AuthStyle: oauth2.AuthStyleInParams},
		}
		a.file = tokenFile{path: o.OAuth2.RefreshTokenFile, owner: o.OAuth2.ClientID}
		a.renewals = "authorise photosync again: photosync oauth login --replace writes a new refresh token into " + o.OAuth2.RefreshTokenFile
		a.secrets.add(o.OAuth2.ClientSecret)
	}
	return a
}

// token is the access token for the next request, refreshed where the last one has
// expired.
func (a *auth) token(ctx context.Context) (string, *Error) {
	if a.fixed != "" {
		return a.fixed, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.access.Valid() {
		if e := a.renew(ctx); e != nil {
			return "", e
		}
	}
	return a.access.AccessToken, nil
}

// expired takes note that Smartsheet refused a token, and reports whether another may
// be had. One that is unknown (1002) was perhaps withdrawn since it was remembered.
func (a *auth) expired(token string, code int) bool {
	if a.fixed != "" || code != codeTokenExpired && code != codeTokenInvalid {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.access != nil && a.access.AccessToken == token { // else another call has refreshed it
		a.rejected, a.access = token, nil
	}
	return true
}

// renew refreshes the access token, or takes the one that another process has got
// meanwhile. No two processes do so at the same moment, and the new refresh token
// is on the disk before the new access token is used. The lock is held.
func (a *auth) renew(ctx context.Context) *Error {
	err := a.file.locked(func() error {
		refresh, err := a.file.read()
		if err != nil {
			return err
		}
		a.secrets.add(refresh)
		if old := a.file.remembered(refresh); old.Valid() && old.AccessToken != a.rejected {
			a.access = old
			a.secrets.add(old.AccessToken)
			return nil
		}
		// Whether a new token can be stored shows before the old one is spent.
		next, err := a.file.reserve(refresh)
		if err != nil {
			return fmt.Errorf("replace the refresh token: %w", err)
		}
		defer next.discard()
		got, err := a.trade(ctx, refresh)
		if err != nil {
			return err
		}
		if got.RefreshToken != refresh {
			if err := next.keep(got.RefreshToken); err != nil {
				return fmt.Errorf("replace the refresh token: %w", err)
			}
		}
		a.access = got
		a.file.remember(got)
		return nil
	})
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	hint := "the user that runs photosync must be able to replace " + a.file.path + ": put it into a folder of that user's own, not into a read-only mount"
	return &Error{Op: opRefresh, Err: err, advice: hint, hopeless: true}
}

// trade gives the refresh token for new tokens. It is not stopped with ctx: what
// Smartsheet gives must be kept, for the old token is spent.
func (a *auth) trade(ctx context.Context, refresh string) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.timeout)
	defer cancel()
	xctx := context.WithValue(ctx, oauth2.HTTPClient, a.http)
	got, err := a.exchange.TokenSource(xctx, &oauth2.Token{RefreshToken: refresh}).Token()
	if err != nil {
		return nil, a.refused(ctx, err)
	}
	a.secrets.add(got.AccessToken)
	a.secrets.add(got.RefreshToken)
	if strings.ContainsFunc(got.AccessToken+got.RefreshToken, notInToken) {
		return nil, &Error{Op: opRefresh, Err: errors.New("the answer holds no usable tokens"), advice: a.renewals, hopeless: true}
	}
	return got, nil
}

// refused reads why there is no new token. What stays without one stops the run:
// no call can succeed.
func (a *auth) refused(ctx context.Context, err error) *Error {
	r, answered := errors.AsType[*oauth2.RetrieveError](err)
	if !answered {
		return &Error{Op: opRefresh, Err: a.secrets.wrap(transportCause(ctx, err)), advice: "check the address and the connection (smartsheet.region, base_url, ca_file)"}
	}
	e := errorFrom(opRefresh, r.Response.StatusCode, r.Body, a.secrets.clean)
	e.advice = a.renewals
	if r.ErrorCode != "" {
		e.Message = a.secrets.clean(strings.TrimSuffix(r.ErrorCode+": "+r.ErrorDescription, ": "))
		e.hopeless = e.Status < 500
	}
	if r.ErrorCode == "invalid_client" || r.ErrorCode == "unauthorized_client" {
		e.advice = "check smartsheet.oauth2.client_id and the client secret"
	}
	if e.Status == http.StatusNotFound {
		e.advice = "check the address: there is no POST /token (smartsheet.region, base_url)"
	}
	return e
}

const opRefresh = "refresh the access token"

// secrets are texts that no error may show, in whatever form a gateway repeats them.
type secrets struct {
	mu  sync.Mutex
	all []string // each and its replacement, as strings.NewReplacer wants them
}

func (s *secrets) add(secret string) {
	if secret == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, form := range []string{secret, url.QueryEscape(secret)} {
		s.all = append(s.all, form, "[secret]")
	}
}

// clean makes foreign text fit for a log line.
func (s *secrets) clean(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return oneLine(strings.NewReplacer(s.all...).Replace(text))
}

// wrap keeps err as it is unless it shows a secret.
func (s *secrets) wrap(err error) error {
	text := err.Error()
	if clean := s.clean(text); clean != oneLine(text) {
		return errors.New(clean)
	}
	return err
}
