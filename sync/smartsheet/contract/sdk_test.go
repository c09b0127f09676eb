package contract

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The official JavaScript SDK lists users, uploads a picture and refreshes a token, and
// the simulator is Smartsheet for it.
func TestOfficialSDK(t *testing.T) {
	if os.Getenv("SDK") == "" {
		t.Fatal("SDK must name the folder into which npm installed sdk/package-lock.json, as .ci/test does")
	}
	secrets := filepath.Join(t.TempDir(), "secrets")
	// Small ids: the SDK reads them as numbers of JavaScript.
	proxy := check(t, simulate(t, "--oauth", secrets, "--users", "5", "--first-user-id", "1000"))
	picture := filepath.Join(photos(t, "user0003@example.com"), "user0003@example.com.png")
	cmd := exec.Command("node", "sdk/use.cjs", os.Getenv("SDK"), proxy.URL+"/", secrets, picture)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Emails, Page []string
		Uploaded     struct {
			Message string
			Data    []struct {
				ID           int64
				ProfileImage struct{ ImageID string }
			}
		}
		Image, Refreshed, Refused string
		Me                        struct{ Email string }
		Assumed                   struct{ Email string }
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(got.Emails) != 5 || strings.Join(got.Page, " ") != "user0003@example.com user0004@example.com" || got.Me.Email != "admin@example.com" || got.Assumed.Email != "user0002@example.com" {
		t.Errorf("users: %+v", got)
	}
	if u := got.Uploaded; u.Message != "SUCCESS" || len(u.Data) != 1 || u.Data[0].ID != 1002 || u.Data[0].ProfileImage.ImageID != got.Image || got.Image == "" {
		t.Errorf("upload: %+v, image %q", u, got.Image)
	}
	if got.Refreshed == "" || got.Refused != "400" {
		t.Errorf("token: %+v", got)
	}
	for _, id := range []string{"token", "me", "users", "user", "upload"} {
		if proxy.calls[id] == 0 {
			t.Errorf("no call %q among %v", id, proxy.calls)
		}
	}
}
