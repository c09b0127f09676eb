package smartsheet_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// A browser on another machine cannot reach the redirect address: a person pastes where
// it ended. What is not the answer is passed over.
func TestLoginPasted(t *testing.T) {
	sim := simulator.New(simulator.Options{OAuth: &simulator.OAuth{ClientID: "app", ClientSecret: "s", RefreshToken: "old"}})
	l, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	redirect := "http://" + free.Addr().String() + "/cb"
	free.Close()
	file := filepath.Join(t.TempDir(), "refresh-token")
	pasted := make(chan string, 3)
	far := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	err = smartsheet.Login{
		BaseURL: l.URL(), OAuth2: smartsheet.OAuth2{ClientID: "app", ClientSecret: "s", RefreshTokenFile: file},
		Timeout: time.Minute, Redirect: redirect, Pasted: pasted,
		Show: func(page string) {
			resp, err := far.Get(page) //nolint:noctx // a browser in a test
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			pasted <- "nonsense %zz"
			pasted <- redirect + "?code=x&state=y"
			pasted <- " " + resp.Header.Get("Location") + "\n"
		},
	}.Run(t.Context())
	data, rerr := os.ReadFile(file)
	if err != nil || rerr != nil || strings.TrimSpace(string(data)) != sim.RefreshToken() {
		t.Errorf("got %q, want %q: %v, %v", data, sim.RefreshToken(), err, rerr)
	}
	// Who owns the file's name owns nothing of ours: a link is not followed.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	err = smartsheet.Login{OAuth2: smartsheet.OAuth2{RefreshTokenFile: link}}.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "already there") {
		t.Errorf("followed a link: %v", err)
	}
	for _, redirect := range []string{"https://localhost:1/x", "http://example.com:1/x", "http://localhost/x", "nonsense"} {
		err := smartsheet.Login{OAuth2: smartsheet.OAuth2{RefreshTokenFile: file + "2"}, Redirect: redirect}.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "want http://localhost:PORT/PATH") {
			t.Errorf("%s: %v", redirect, err)
		}
	}
}
