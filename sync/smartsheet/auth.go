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

// OAuth2 is where access tokens come from: Smartsheet gives one, and a new refresh token,
// for each refresh token (POST /token).
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

// token is the access token for the next request. No two processes refresh it at a time.
func (a *auth) token(ctx context.Context) (string, *Error) {
	if a.fixed != "" {
		return a.fixed, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.access.Valid() {
		return a.access.AccessToken, nil
	}
	err := a.file.locked(func() error { return a.renew(ctx) })
	if err == nil {
		return a.access.AccessToken, nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return "", e
	}
	hint := "the user that runs photosync must be able to replace " + a.file.path + ": put it into a folder of that user's own, not into a read-only mount"
	return "", &Error{Op: opRefresh, Err: err, advice: hint, hopeless: true}
}

// expired notes that Smartsheet refused a token, and reports whether there can be a new one. A
// token that it does not know (1002) may have been withdrawn since the last run.
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

// renew refreshes the access token, or takes the one that another process got. The new
// refresh token is on the disk before the new access token is used.
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
	_ = os.Remove(name) // half of one, from a run that was killed
	next, err := reserve(name, a.file.path, a.file.path)
	if err != nil {
		return fmt.Errorf("replace the refresh token: %w", err)
	}
	got, err := a.trade(ctx, refresh)
	if err != nil || got.RefreshToken == refresh {
		next.Discard()
	} else if err = keep(next, got.RefreshToken); err != nil { // the next run finds it
		err = fmt.Errorf("replace the refresh token: %w", err)
	}
	if err != nil {
		return err
	}
	a.access = got
	a.file.remember(got)
	return nil
}

// trade exchanges the refresh token for new tokens. The end of ctx does not stop it: the new
// tokens must be kept, as the old one is spent.
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

// refused reads why there is no new token, without which no call can succeed.
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
	switch {
	case r.ErrorCode == "invalid_client" || r.ErrorCode == "unauthorized_client":
		e.advice = "check smartsheet.oauth2.client_id and the client secret"
	case e.Status == http.StatusNotFound:
		e.advice = "check the address: there is no POST /token (smartsheet.region, base_url)"
	default:
		e.advice = a.renewals
	}
	return e
}

const opRefresh = "refresh the access token"

// secrets are texts that no error may show, in whatever form a gateway repeats them.
type secrets struct {
	mu  sync.Mutex
	all []string // each and its replacement, as strings.NewReplacer wants them
}

func (s *secrets) add(all ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range all {
		if secret != "" {
			s.all = append(s.all, secret, "[secret]", url.QueryEscape(secret), "[secret]")
		}
	}
}

// clean makes foreign text fit for a log line.
func (s *secrets) clean(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return oneLine(strings.NewReplacer(s.all...).Replace(text))
}

// tokenFile is the file of a refresh token, which is good for one use. Beside it, all
// with mode 0600, lie
//
//	FILE.lock        held while the token is used
//	FILE.<hash>.new  the token that replaces the one with this hash, until it is
//	                 renamed to FILE; what a run left there when it was killed
//	                 counts, for the old one is spent
//	FILE.access      the access token that came with it, for the next run: with it,
//	                 a token rotates once a week and not with every command, and
//	                 plan does not take away the access token of a sync that runs
type tokenFile struct {
	path  string
	owner string // client id and secret: with another one, an access token is not this app's
}

// locked calls f while no other process uses the token.
func (t *tokenFile) locked(f func() error) error {
	real, err := safefile.Real(t.path)
	if err != nil {
		return err
	}
	t.path = real
	lock, err := lockedfile.OpenFile(real+".lock", os.O_RDWR|os.O_CREATE|safefile.NoFollow, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err = safefile.Own(lock.File, real); err == nil {
		err = f()
	}
	return err
}

// read returns the refresh token, and first finishes what a killed run began.
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
		return token, nil // there is none, or it had not been written yet
	}
	return string(whole), safefile.Rename(next, t.path)
}

func notInToken(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }

// next is the name of the file of the token that replaces this one.
func (t *tokenFile) next(token string) string { return t.path + "." + hash(token)[:16] + ".new" }

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// memo is what FILE.access holds.
type memo struct {
	For    string    `json:"for"` // hash of the owner and the refresh token that came with it
	Token  string    `json:"access_token"`
	Expiry time.Time `json:"expiry"`
}

// remember keeps the access token for the next run, which would otherwise get its own.
func (t *tokenFile) remember(got *oauth2.Token) {
	data, err := json.Marshal(memo{hash(t.owner + got.RefreshToken), got.AccessToken, got.Expiry})
	if err != nil || got.Expiry.IsZero() {
		return
	}
	name := t.path + ".access"
	_ = os.Remove(name + ".tmp") // of a run that was killed
	if f, err := reserve(name+".tmp", name, t.path); err == nil {
		defer f.Discard()
		_ = keep(f, string(data))
	}
}

// remembered is the access token that came with refresh; nil if it is not known.
func (t *tokenFile) remembered(refresh string) *oauth2.Token {
	var m memo
	data, err := safefile.Read(t.path + ".access")
	if err != nil || json.Unmarshal(data, &m) != nil || m.For != hash(t.owner+refresh) || strings.ContainsFunc(m.Token, notInToken) {
		return nil
	}
	return &oauth2.Token{AccessToken: m.Token, Expiry: m.Expiry}
}

// reservedBytes is more than a token takes.
const reservedBytes = 4096

// reserve makes the file name, with space on the disk for the token that is to come to
// path, and with the owner of the file like.
func reserve(name, path, like string) (*safefile.File, error) {
	f, err := safefile.Create(name, path)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(make([]byte, reservedBytes))
	if err = errors.Join(err, f.Sync(), safefile.Own(f.File, like)); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// keep puts a reserved file with this token at its path, for good.
func keep(f *safefile.File, token string) error {
	_, err := f.WriteAt([]byte(token+"\n"), 0)
	if err = errors.Join(err, f.Truncate(int64(len(token)+1))); err != nil {
		return err
	}
	return f.Keep(true)
}
