package smartsheet

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

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

	mu       sync.Mutex // held while the token is refreshed
	access   access
	rejected string // the last access token that Smartsheet called expired

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
		a.renewals = authorizeHint(o.OAuth2)
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
	if !a.access.fresh(time.Now()) {
		if e := a.renew(ctx); e != nil {
			return "", e
		}
	}
	return a.access.Token, nil
}

// expired takes note that Smartsheet refused a token, and reports whether another may
// be had. A remembered token that is unknown (1002) was withdrawn since.
func (a *auth) expired(token string, code int) bool {
	if a.fixed != "" || code != codeTokenExpired && code != codeTokenInvalid {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.access.Token != token {
		return true // another call has refreshed it
	}
	if code == codeTokenInvalid && !a.access.remembered {
		return false
	}
	a.rejected, a.access = token, access{}
	return true
}

// renew refreshes the access token, or takes the one that another process has got
// meanwhile. No two processes do so at the same moment, and the new refresh token
// is on the disk before the new access token is used. The lock is held.
func (a *auth) renew(ctx context.Context) (e *Error) {
	err := a.file.locked(func() error {
		refresh, err := a.file.read()
		if err != nil {
			return err
		}
		a.secrets.add(refresh)
		if old := a.file.remembered(refresh); old.fresh(time.Now()) && old.Token != a.rejected {
			a.access = old
			a.secrets.add(old.Token)
			return nil
		}
		// Whether a new token can be stored shows before the old one is spent.
		next, err := a.file.reserve(refresh)
		if err != nil {
			return err
		}
		defer next.abandon()
		got, err := a.trade(ctx, refresh)
		if err != nil {
			return err
		}
		if got.RefreshToken != refresh {
			if err := next.store(got.RefreshToken); err != nil {
				return err
			}
		}
		a.access = newAccess(got, time.Now())
		a.file.remember(got.RefreshToken, a.access)
		return nil
	})
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Op: opRefresh, Err: err, advice: tokenFileHint(a.file.path), hopeless: true}
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
	if strings.ContainsFunc(got.AccessToken+got.RefreshToken, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
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

// authorizeHint says where a new refresh token comes from.
func authorizeHint(o *OAuth2) string {
	return "authorise photosync again: photosync oauth login --replace writes a new refresh token into " + o.RefreshTokenFile
}

// access is an access token and when to get another.
type access struct {
	Token      string    `json:"access_token"`
	RenewAt    time.Time `json:"renew_at"` // zero: unknown
	remembered bool      // by another process
}

// newAccess plans the renewal a little before the token expires.
func newAccess(t *oauth2.Token, now time.Time) access {
	a := access{Token: t.AccessToken}
	if life := t.Expiry.Sub(now); !t.Expiry.IsZero() {
		a.RenewAt = now.Add(life - min(life/10, 5*time.Minute))
	}
	return a
}

func (a access) fresh(now time.Time) bool {
	return a.Token != "" && (a.RenewAt.IsZero() || now.Before(a.RenewAt))
}

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
