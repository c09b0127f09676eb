package smartsheet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

const clientSecret = "client/secret+1"

// authority is a server whose refresh tokens are good for one use, and whose access
// tokens expire.
type authority struct {
	t        *testing.T
	file     string // of the refresh token
	secret   string // of the app
	lifetime time.Duration
	delay    time.Duration                                        // of POST /token
	spoil    func(n int, form url.Values) (*http.Response, error) // in place of an answer of POST /token, unless nil

	mu      sync.Mutex
	refresh int // number of the token that is good
	access  int
	expires time.Time
	trades  int
	calls   int
	refuse  func(n int) int // errorCode for the nth call; 0: none
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "refresh-token"), secret: clientSecret, lifetime: 7 * 24 * time.Hour}
	a.write("refresh-0")
	return a
}

func (a *authority) write(token string) {
	if err := os.WriteFile(a.file, []byte(token+"\n"), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// stored is the token in the file.
func (a *authority) stored() string {
	data, err := os.ReadFile(a.file)
	if err != nil {
		a.t.Error(err)
	}
	return strings.TrimSpace(string(data))
}

func (a *authority) client(change func(*Options)) *Client {
	return newTest(a.t, nil, func(o *Options) {
		o.Transport, o.Token = a, ""
		o.OAuth2 = &OAuth2{ClientID: "app", ClientSecret: a.secret, RefreshTokenFile: a.file}
		o.UserAgent, o.IntegrationSource = "photosync/1", "SCRIPT,Example Corp,photosync"
		if change != nil {
			change(o)
		}
	})
}

func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("User-Agent") != "photosync/1" || r.Header.Get("smartsheet-integration-source") != "SCRIPT,Example Corp,photosync" {
		a.t.Errorf("%s %s: headers %v", r.Method, r.URL, r.Header)
	}
	if r.URL.Path == "/2.0/token" {
		return a.trade(r)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	if want := fmt.Sprint("refresh-", a.refresh); a.stored() != want {
		a.t.Errorf("call %d uses a token while the file holds %q, want %q", a.calls, a.stored(), want)
	}
	code := 0
	if a.refuse != nil {
		code = a.refuse(a.calls)
	}
	if r.Header.Get("Authorization") != fmt.Sprint("Bearer access-", a.access) || !time.Now().Before(a.expires) {
		code = 1003
	}
	if code != 0 {
		return refusal(401, code, "r1"), nil
	}
	return answer(200, `{"id":48569348493401200}`), nil
}

func (a *authority) trade(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Authorization") != "" || form.Get("grant_type") != "refresh_token" ||
		form.Get("client_id") != "app" || form.Get("client_secret") != a.secret {
		a.t.Errorf("%s %s %q, Authorization %q", r.Method, r.URL, body, r.Header.Get("Authorization"))
	}
	select {
	case <-time.After(a.delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trades++
	if a.spoil != nil {
		if resp, err := a.spoil(a.trades, form); resp != nil || err != nil {
			return resp, err
		}
	}
	if form.Get("refresh_token") != fmt.Sprint("refresh-", a.refresh) {
		return answer(400, `{"error":"invalid_grant","error_description":"the token `+form.Get("refresh_token")+` is spent"}`), nil
	}
	a.refresh++
	a.access++
	a.expires = time.Now().Add(a.lifetime)
	return answer(200, fmt.Sprintf(`{"access_token":"access-%d","token_type":"bearer","refresh_token":"refresh-%d","expires_in":%d}`,
		a.access, a.refresh, int(a.lifetime/time.Second))), nil
}

func (a *authority) must(c *Client) {
	a.t.Helper()
	if _, err := c.Me(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

// The token rotates once in its lifetime, ahead of the end, and never with a call
// on the way that does not have it.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		c := a.client(nil)
		for range 15 {
			a.must(c)
			time.Sleep(24 * time.Hour)
		}
		if a.trades != 3 || a.calls != 15 || c.Stats().Retries != 0 || c.Stats().Requests != 18 {
			t.Errorf("%d new tokens, %d calls, %+v", a.trades, a.calls, c.Stats())
		}
		files, err := os.ReadDir(filepath.Dir(a.file))
		if err != nil || len(files) != 3 {
			t.Errorf("files %v, %v", files, err)
		}
		for _, f := range files {
			if fi, err := f.Info(); err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v, %v", f.Name(), fi.Mode(), err)
			}
		}
	})
}

// A token that is called expired is replaced once a call.
func TestExpiredToken(t *testing.T) {
	for name, c := range map[string]struct {
		refuse               func(n int) int
		ok                   bool
		calls, trades, tries int
	}{
		"once":          {func(n int) int { return map[int]int{1: 1003}[n] }, true, 2, 2, 2},
		"always":        {func(int) int { return 1003 }, false, 2, 2, 2},
		"unknown token": {func(int) int { return 1002 }, false, 2, 2, 2},
		"no rights":     {func(int) int { return 1005 }, false, 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			a.refuse = c.refuse
			_, err := a.client(nil).Me(t.Context())
			if (err == nil) != c.ok || err != nil && Classify(err) != Stop || a.calls != c.calls || a.trades != c.trades {
				t.Errorf("error %v, %d calls, %d new tokens", err, a.calls, a.trades)
			}
		})
	}
}

// The next run goes on with the access token there is: unless it is withdrawn, of
// another app or secret, or came with another refresh token.
func TestRememberedToken(t *testing.T) {
	a := newAuthority(t)
	a.must(a.client(nil))
	a.must(a.client(nil))
	if a.trades != 1 {
		t.Errorf("%d new tokens for two runs", a.trades)
	}
	a.refuse = func(n int) int { return map[int]int{3: 1002}[n] }
	a.must(a.client(nil))
	if a.trades != 2 || a.stored() != "refresh-2" {
		t.Errorf("%d new tokens when the remembered one was withdrawn", a.trades)
	}
	a.mu.Lock()
	a.refresh = 7 // authorised again by hand
	a.mu.Unlock()
	a.write("refresh-7")
	a.must(a.client(nil))
	if a.trades != 3 {
		t.Error("an access token outlives the refresh token it came with")
	}
	if err := os.WriteFile(a.file+".access", []byte(`{"for":"`), 0o600); err != nil {
		t.Fatal(err)
	}
	a.must(a.client(nil))
	if a.trades != 4 {
		t.Error("a damaged file was believed")
	}
	a.spoil = func(int, url.Values) (*http.Response, error) { return answer(401, `{"error":"invalid_client"}`), nil }
	a.secret = "another"
	if _, err := a.client(nil).Me(t.Context()); Classify(err) != Stop || a.trades != 5 {
		t.Errorf("an access token hides a wrong client secret: %v", err)
	}
}

// A mark that an editor put before the refresh token is no part of it.
func TestRefreshTokenWithMark(t *testing.T) {
	a := newAuthority(t)
	a.write("\ufeffrefresh-0\r")
	a.must(a.client(nil))
}

// Many calls of many processes get one new token, and nobody's is spent twice.
func TestRefreshDoesNotRace(t *testing.T) {
	a := newAuthority(t)
	a.delay = 20 * time.Millisecond
	var wg sync.WaitGroup
	for range 4 {
		c := a.client(nil)
		for range 4 {
			wg.Go(func() {
				if _, err := c.Me(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if a.trades != 1 || a.stored() != "refresh-1" {
		t.Errorf("%d new tokens, the file holds %q", a.trades, a.stored())
	}
}

// Wherever a run was killed after it was given a token, the next one has it.
func TestKilledWhileRefreshing(t *testing.T) {
	f := tokenFile{}
	for name, c := range map[string]struct {
		left string // in the file of the next token
		want string // in the file afterwards
	}{
		"before the answer":   {strings.Repeat("\x00", reservedBytes), "refresh-1"},
		"nothing written yet": {"", "refresh-1"},
		"written":             {"refresh-5\n" + strings.Repeat("\x00", reservedBytes-10), "refresh-6"},
		"written and cut":     {"refresh-5\n", "refresh-6"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			f.path = a.file
			if err := os.WriteFile(f.next("refresh-0"), []byte(c.left), 0o600); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(c.left, "refresh-5") {
				a.refresh = 5
			}
			a.must(a.client(nil))
			left, err := filepath.Glob(a.file + ".*.new")
			if a.stored() != c.want || err != nil || len(left) != 0 {
				t.Errorf("the file holds %q, left behind %q", a.stored(), left)
			}
		})
	}
}

// A signal does not throw away the answer that is on its way.
func TestStoppedWhileRefreshing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.delay = 2 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := a.client(nil).Me(ctx); err == nil || a.stored() != "refresh-1" {
			t.Errorf("error %v, the file holds %q", err, a.stored())
		}
	})
}

// What keeps a token from being refreshed, and what it means.
func TestRefreshFails(t *testing.T) {
	always := func(status int, body string) func(int, url.Values) (*http.Response, error) {
		return func(int, url.Values) (*http.Response, error) { return answer(status, body), nil }
	}
	for name, c := range map[string]struct {
		spoil   func(int, url.Values) (*http.Response, error)
		prepare func(a *authority)
		verdict Class
		trades  int
		text    string // in the error
		hint    string // in the hint
	}{
		"spent":          {prepare: func(a *authority) { a.refresh = 3 }, verdict: Stop, trades: 1, text: "invalid_grant: the token [secret] is spent", hint: "authorise photosync again"},
		"invalid client": {spoil: always(401, `{"error":"invalid_client"}`), verdict: Stop, trades: 1, text: `HTTP 401 "invalid_client"`, hint: "client_id"},
		"no such path":   {spoil: always(404, "<html>"), verdict: Stop, trades: 1, text: "HTTP 404", hint: "check the address"},
		"retired":        {spoil: always(410, `{"errorCode":4005,"refId":"r1"}`), verdict: Stop, trades: 1, text: "4005", hint: "update photosync"},
		"down":           {spoil: always(502, "<html>"), verdict: Unavailable, trades: 6, text: "HTTP 502", hint: "retry by itself"},
		"fails":          {spoil: always(500, `{"error":"server_error"}`), verdict: Unavailable, trades: 6, text: "HTTP 500", hint: "retry by itself"},
		"no quota":       {spoil: always(429, `{"errorCode":4003,"refId":"r1"}`), verdict: Throttled, trades: -1, text: "4003", hint: "retry by itself"},
		"unauthorised":   {spoil: always(401, "<html>"), verdict: Stop, trades: 1, text: "HTTP 401", hint: "authorise photosync again"},
		"forbidden":      {spoil: always(403, "<html>"), verdict: Stop, trades: 1, text: "HTTP 403", hint: "gateway"},
		"maintenance":    {spoil: always(503, `{"errorCode":4001,"refId":"r1"}`), verdict: Unavailable, trades: -1, text: "4001", hint: "retry by itself"},
		"no token":       {spoil: always(200, `{"token_type":"bearer"}`), verdict: Stop, trades: 6, text: "missing access_token", hint: "check the address"},
		"two lines":      {spoil: always(200, `{"access_token":"a\nb","refresh_token":"c"}`), verdict: Stop, trades: 1, text: "no usable tokens", hint: "authorise"},
		"certificate":    {spoil: func(int, url.Values) (*http.Response, error) { return nil, certificateError }, verdict: Stop, trades: 1, text: "unknown authority", hint: "ca_file"},
		"no file":        {prepare: func(a *authority) { os.Remove(a.file) }, verdict: Stop, text: "no such file", hint: "folder"},
		"empty file":     {prepare: func(a *authority) { a.write("") }, verdict: Stop, text: "one line", hint: "folder"},
		"no room": {prepare: func(a *authority) {
			f := tokenFile{path: a.file}
			os.MkdirAll(filepath.Join(f.next("refresh-0"), "x"), 0o700)
		}, verdict: Stop, text: "replace", hint: "folder"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority(t)
				a.spoil = c.spoil
				if c.prepare != nil {
					c.prepare(a)
				}
				_, err := a.client(nil).Me(t.Context())
				e, ok := errors.AsType[*Error](err)
				if !ok || Classify(err) != c.verdict || !strings.Contains(err.Error(), c.text) || !strings.Contains(e.Hint(), c.hint) {
					t.Fatalf("verdict %v, error %v, hint %q", Classify(err), err, e.Hint())
				}
				if a.calls != 0 || c.trades >= 0 && a.trades != c.trades {
					t.Errorf("%d calls, %d requests for a token", a.calls, a.trades)
				}
			})
		})
	}
}

// A gateway that repeats the request shows no secret, and does not end the run.
func TestRefreshThroughABadGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.spoil = func(n int, form url.Values) (*http.Response, error) {
			switch n {
			case 1:
				return answer(502, "you sent "+form.Encode()+" "+form.Get("client_secret")), nil
			case 2:
				return refusal(429, 4003, "r1"), nil
			}
			return nil, nil
		}
		var seen []string
		c := a.client(func(o *Options) {
			o.Observe = func(e *Error, _ int, _ time.Duration) { seen = append(seen, e.Error()+e.Hint()) }
		})
		a.must(c)
		for _, s := range seen {
			for _, secret := range []string{"refresh-0", clientSecret, url.QueryEscape(clientSecret)} {
				if strings.Contains(s, secret) {
					t.Errorf("shows %q: %s", secret, s)
				}
			}
		}
		if len(seen) != 2 {
			t.Errorf("%d attempts failed, want 2: %q", len(seen), seen)
		}
	})
}

func TestAuthorizePage(t *testing.T) {
	for root, want := range map[string]string{
		Roots["us"]: "https://app.smartsheet.com/b/authorize", Roots["eu"]: "https://app.smartsheet.eu/b/authorize",
		Roots["gov"]: "https://app.smartsheetgov.com/b/authorize", "http://127.0.0.1:1/2.0": "http://127.0.0.1:1/b/authorize",
	} {
		if got := authorizePage(root); got != want {
			t.Errorf("%s: %s, want %s", root, got, want)
		}
	}
}

// 401/1030 is about one user, with OAuth2 as with a token.
func TestAssumeUserWithOAuth2(t *testing.T) {
	a := newAuthority(t)
	a.refuse = func(int) int { return 1030 }
	c := a.client(func(o *Options) { o.AssumeUser = true })
	_, err := c.Upload(t.Context(), User{ID: testID, Email: "ann@example.com"}, picture, time.Time{})
	if got := Classify(err); got != Permission {
		t.Errorf("class %d, want %d (Permission): %v", got, Permission, err)
	}
}

// An answer that is nested millions of times does not end the program.
func TestDeepAnswer(t *testing.T) {
	if e := errorFrom("x", 502, []byte(strings.Repeat("[", 8<<20)), oneLine); e.Status != 502 {
		t.Error(e)
	}
}

// A process that hangs while it holds the lock keeps no run from being stopped.
func TestRefreshWaitsForTheLock(t *testing.T) {
	a := newAuthority(t)
	lock, err := lockedfile.OpenFile(a.file+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(errors.New("a signal")) })
	_, err = a.client(nil).Me(ctx)
	if err == nil || !strings.Contains(err.Error(), a.file+`.lock": a signal`) || Classify(err) != Stop || a.trades != 0 {
		t.Errorf("error %v, class %v, %d new tokens", err, Classify(err), a.trades)
	}
	lock.Close()
	a.must(a.client(nil))
}
