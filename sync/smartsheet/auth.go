package smartsheet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/lockedfile"
	"golang.org/x/oauth2"

	"photosync/sync/safefile"
)

// OAuth2 is an app that gets access tokens: for each refresh token, Smartsheet gives an access token
// and a new refresh token (POST /token).
type OAuth2 struct {
	ClientID         string
	ClientSecret     string
	RefreshTokenFile string // rewritten whenever the token rotates
}

// auth gives requests their access token.
type auth struct {
	fixed    string // a token that cannot be refreshed; empty: OAuth2
	exchange oauth2.Config
	http     *http.Client
	file     tokenFile
	timeout  time.Duration
	renewals string // the hint how to get a new refresh token
	secrets  secrets

	mu       sync.Mutex    // held while the token is refreshed
	access   *oauth2.Token // nil: none yet
	rejected string        // the last access token that Smartsheet refused
}

func newAuth(o Options, client *http.Client) *auth {
	a := &auth{fixed: o.Token, http: client, timeout: o.Timeout}
	a.secrets.add(o.Token)
	if app := o.OAuth2; app != nil {
		a.exchange = oauth2.Config{
			ClientID: app.ClientID, ClientSecret: app.ClientSecret,
			Endpoint: oauth2.Endpoint{TokenURL: o.BaseURL + "/token", AuthStyle: oauth2.AuthStyleInParams},
		}
		a.file = tokenFile{app.RefreshTokenFile, app.ClientID + "\n" + app.ClientSecret + "\n"}
		a.renewals = "authorise photosync again: photosync oauth login --replace writes a new refresh token into " + app.RefreshTokenFile
		a.secrets.add(app.ClientSecret)
	}
	return a
}

// token returns the access token for the next request. Only one process at a time refreshes it.
func (a *auth) token(ctx context.Context) (string, *Error) {
	if a.fixed != "" {
		return a.fixed, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.access.Valid() {
		return a.access.AccessToken, nil
	}
	err := a.file.locked(ctx, func() error { return a.renew(ctx) })
	if err == nil {
		return a.access.AccessToken, nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return "", e
	}
	hint := "the user that runs photosync must be able to replace " + a.file.path + ": put it into a folder of that user's own, not into a read-only mount"
	return "", &Error{Op: opRefresh, Err: err, advice: hint, hopeless: true}
}

// expired takes the code with which Smartsheet refused a token, and reports whether there can be a
// new one. An unknown token (1002) may have been withdrawn since the last run.
func (a *auth) expired(token string, code int) bool {
	if a.fixed != "" || code != codeTokenExpired && code != codeTokenInvalid {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.access != nil && a.access.AccessToken == token { // otherwise another call has refreshed it
		a.rejected, a.access = token, nil
	}
	return true
}

// renew refreshes the access token, or uses the one that another process got. The new refresh token
// is on disk before the new access token is used.
func (a *auth) renew(ctx context.Context) error {
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
	// Make sure that a new token can be stored before the old one is spent.
	name := a.file.next(refresh)
	_ = os.Remove(name) // a killed run may have left half a file
	next, err := reserve(name, a.file.path)
	if err != nil {
		return fmt.Errorf("replace the refresh token: %w", err)
	}
	got, err := a.trade(ctx, refresh)
	if err != nil || got.RefreshToken == refresh {
		next.Discard()
	} else if err = store(next, got.RefreshToken); err != nil { // the next run looks for this file
		err = fmt.Errorf("replace the refresh token: %w", err)
	}
	if err != nil {
		return err
	}
	a.access = got
	a.file.remember(got)
	return nil
}

// trade exchanges the refresh token for new tokens. The end of ctx does not stop it: as the old token
// is spent, the new ones must be stored.
func (a *auth) trade(ctx context.Context, refresh string) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), a.timeout, errTimeout)
	defer cancel()
	xctx := context.WithValue(ctx, oauth2.HTTPClient, a.http)
	got, err := a.exchange.TokenSource(xctx, &oauth2.Token{RefreshToken: refresh}).Token()
	if err != nil {
		return nil, a.refused(ctx, err)
	}
	a.secrets.add(got.AccessToken, got.RefreshToken)
	if strings.ContainsFunc(got.AccessToken+got.RefreshToken, notInToken) {
		return nil, &Error{Op: opRefresh, Err: errors.New("the answer holds no usable tokens"), advice: a.renewals, hopeless: true}
	}
	return got, nil
}

// refused returns the Error of a refresh that failed. Only an answer about the refresh token itself
// means that somebody has to authorise photosync again.
func (a *auth) refused(ctx context.Context, err error) *Error {
	r, answered := errors.AsType[*oauth2.RetrieveError](err)
	if !answered {
		err = transportCause(ctx, err)
		if clean := a.secrets.clean(err.Error()); clean != oneLine(err.Error()) {
			err = errors.New(clean)
		}
		return &Error{Op: opRefresh, Err: err, advice: "check the address and the connection (smartsheet.region, base_url, ca_file)"}
	}
	e := errorFrom(opRefresh, r.Response.StatusCode, r.Body, a.secrets.clean)
	if r.ErrorCode != "" {
		e.Message = a.secrets.clean(strings.TrimSuffix(r.ErrorCode+": "+r.ErrorDescription, ": "))
		e.hopeless = e.Status < 500
	}
	switch class := e.ownCause().class; {
	case r.ErrorCode == "invalid_client" || r.ErrorCode == "unauthorized_client":
		e.advice = "check smartsheet.oauth2.client_id and the client secret"
	case e.Status == http.StatusNotFound:
		e.advice = "check the address: there is no POST /token (smartsheet.region, base_url)"
	case r.ErrorCode == "invalid_grant", e.Status == http.StatusBadRequest, e.Status == http.StatusUnauthorized:
		e.advice = a.renewals
	case class < Retryable:
		e.advice = gateway + "it refuses POST /token"
	}
	return e
}

const opRefresh = "refresh the access token"

// secrets are texts that no error may show, even if a gateway repeats them URL-encoded.
type secrets struct {
	mu     sync.Mutex
	all    []string // each and its replacement, as strings.NewReplacer wants them
	hidden *strings.Replacer
}

func (s *secrets) add(all ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range all {
		if secret != "" {
			s.all = append(s.all, secret, "[secret]", url.QueryEscape(secret), "[secret]")
		}
	}
	s.hidden = strings.NewReplacer(s.all...)
}

// clean replaces the secrets in foreign text, and makes it one line.
func (s *secrets) clean(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return oneLine(s.hidden.Replace(text))
}

// tokenFile is the file of a refresh token, which is good for one use. Beside it are, all with mode
// 0600:
//
//	FILE.lock        locked while the token is used
//	FILE.<hash>.new  replaces the token with this hash, which is spent, even if a run was killed
//	                 before it renamed the file to FILE
//	FILE.access      the access token, for the next run: so the refresh token is used once a week,
//	                 and a plan does not end the access token of a running sync
type tokenFile struct {
	path  string
	owner string // client id and secret: an access token belongs to one app
}

// locked calls f while no other process uses the token. It waits for that until ctx ends.
func (t *tokenFile) locked(ctx context.Context, f func() error) error {
	real, err := safefile.Real(t.path)
	if err != nil {
		return err
	}
	t.path = real
	opened := make(chan error)
	var lock *lockedfile.File
	go func() { // nothing interrupts the wait for a lock
		var err error
		lock, err = lockedfile.OpenFile(real+".lock", os.O_RDWR|os.O_CREATE|safefile.NoFollow, 0o600)
		select {
		case opened <- err:
		case <-ctx.Done():
			if err == nil {
				lock.Close()
			}
		}
	}()
	select {
	case err = <-opened:
	case <-ctx.Done():
		err = fmt.Errorf("another process holds %q: %w", real+".lock", context.Cause(ctx))
		return &Error{Op: opRefresh, Err: err, advice: "end that process if it hangs", hopeless: true}
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if err = safefile.Own(lock.File, real); err == nil {
		err = f()
	}
	return err
}

// read returns the refresh token. First it finishes a renewal that a killed run began.
func (t *tokenFile) read() (string, error) {
	data, err := os.ReadFile(t.path)
	if err != nil {
		return "", err
	}
	token := strings.TrimPrefix(strings.TrimSpace(string(data)), "\ufeff")
	if token == "" || strings.ContainsFunc(token, notInToken) {
		return "", fmt.Errorf("read %q: want one line with the refresh token and nothing else", t.path)
	}
	next := t.next(token)
	data, err = safefile.Read(next)
	whole, ok := bytes.CutSuffix(bytes.TrimRight(data, "\x00"), []byte("\n"))
	if err != nil || !ok {
		return token, nil // there is no new token, or only a part of it was written
	}
	return string(whole), safefile.Rename(next, t.path)
}

func notInToken(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }

// next returns the name of the file for the token that replaces this one.
func (t *tokenFile) next(token string) string { return t.path + "." + hash(token)[:16] + ".new" }

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// memo is the content of FILE.access.
type memo struct {
	For    string    `json:"for"` // hash of the owner and the refresh token that came with it
	Token  string    `json:"access_token"`
	Expiry time.Time `json:"expiry"`
}

// remember stores the access token for the next run.
func (t *tokenFile) remember(got *oauth2.Token) {
	data, err := json.Marshal(memo{hash(t.owner + got.RefreshToken), got.AccessToken, got.Expiry})
	if err != nil || got.Expiry.IsZero() {
		return
	}
	if f, err := safefile.New(t.path + ".access"); err == nil {
		defer f.Discard()
		_, err = f.Write(data)
		if errors.Join(err, safefile.Own(f.File, t.path)) == nil { // who reads the refresh token reads this
			_ = f.Commit(true)
		}
	}
}

// remembered returns the access token that came with refresh; nil if it is not known.
func (t *tokenFile) remembered(refresh string) *oauth2.Token {
	var m memo
	data, err := safefile.Read(t.path + ".access")
	if err != nil || json.Unmarshal(data, &m) != nil || m.For != hash(t.owner+refresh) || strings.ContainsFunc(m.Token, notInToken) {
		return nil
	}
	return &oauth2.Token{AccessToken: m.Token, Expiry: m.Expiry}
}

const reservedBytes = 4096 // more than any token takes

// reserve creates the file name, which store later renames to path, with enough space on disk for a
// token, and with the owner of the file at path.
func reserve(name, path string) (*safefile.File, error) {
	f, err := safefile.Create(name, path)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(make([]byte, reservedBytes))
	if err = errors.Join(err, f.Sync(), safefile.Own(f.File, path)); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// store writes a token into a reserved file, and renames the file to its path.
func store(f *safefile.File, token string) error {
	_, err := f.WriteAt([]byte(token+"\n"), 0)
	if err = errors.Join(err, f.Truncate(int64(len(token)+1))); err != nil {
		return err
	}
	return f.Commit(true)
}
