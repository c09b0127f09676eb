package contract

import (
	"bufio"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// photosync is the program, built once.
var photosync string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "photosync-contract-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	photosync = filepath.Join(dir, "photosync")
	build := exec.Command("go", "build", "-o", photosync, "./cmd/photosync")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build photosync: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// simulate starts a simulator and returns its address.
func simulate(t testing.TB, flags ...string) (base string) {
	t.Helper()
	cmd := exec.Command(photosync, append([]string{"simulate", "--listen", "127.0.0.1:0", "--rpm", "0"}, flags...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	in := bufio.NewScanner(out)
	for in.Scan() {
		if m := regexp.MustCompile(`base_url: (\S+)`).FindStringSubmatch(in.Text()); m != nil {
			base = m[1]
		}
		if strings.HasPrefix(in.Text(), "End it") {
			break
		}
	}
	if base == "" {
		t.Fatal("the simulator names no address")
	}
	return base
}

// photos writes photos of these people into a folder, each another one.
func photos(t *testing.T, people ...string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for i, p := range people {
		img := image.NewRGBA(image.Rect(0, 0, 8, 8))
		img.SetRGBA(i%8, i/8, color.RGBA{uint8(50 * i), 99, 7, 255})
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, p+".png"), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// Everything that photosync sends is as the document says, and so is what the simulator
// answers.
func TestPhotosync(t *testing.T) {
	const people = `user0001@example.com,Ann Lee
user0002@example.com,Bo Li,ACTIVE,,bo@example.com
jo+x@example.com,Jo,ACTIVE
off@example.com,Off,DEACTIVATED
`
	dir := t.TempDir()
	staff := filepath.Join(dir, "staff.csv")
	if err := os.WriteFile(staff, []byte(people), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := photos(t, "user0001@example.com", "bo@example.com", "jo+x@example.com", "off@example.com", "nobody@example.com")
	for name, c := range map[string]struct {
		simulate []string
		config   string
		calls    []string
	}{
		"token": {[]string{"--token", "t"}, "integration_source: 'SCRIPT,Example Corp (EU),photosync', assume_user: true", []string{"me", "users", "user", "upload"}},
		"oauth": {[]string{"--oauth", filepath.Join(dir, "secrets"), "--quirk", "answer-in-result", "--quirk", "totals-unknown", "--quirk", "sizes-as-text"},
			fmt.Sprintf("oauth2: {client_id: photosync, client_secret_file: %[1]q, refresh_token_file: %[2]q}", filepath.Join(dir, "secrets", "client-secret"), filepath.Join(dir, "secrets", "refresh-token")),
			[]string{"token", "me", "users", "user", "upload"}},
		"faults": {[]string{"--token", "t", "--fault", "partial,user=user0001@example.com", "--fault", "status:403/1004,as=array,user=jo+x@example.com"}, "", []string{"upload"}},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := check(t, simulate(t, append(c.simulate, "--users", staff)...))
			work := t.TempDir()
			config := fmt.Sprintf("smartsheet: {base_url: %q, %s}\nsources: [{name: hr, type: folder, path: %q}]\nstate: {path: state.db}\nreport: {dir: reports}\nmatch: {alternate_emails: true}\n",
				proxy.URL, c.config, folder)
			if err := os.WriteFile(filepath.Join(work, "config.yaml"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"plan"}, {"sync", "--verify"}, {"sync", "--force"}, {"explain", "user0001@example.com"}, {"check"}} {
				cmd := exec.Command(photosync, args...)
				cmd.Dir = work
				cmd.Env = append(os.Environ(), "SMARTSHEET_ACCESS_TOKEN=t")
				if strings.Contains(c.config, "oauth2") {
					cmd.Env = append(os.Environ(), "SMARTSHEET_ACCESS_TOKEN=")
				}
				out, err := cmd.CombinedOutput()
				if code := cmd.ProcessState.ExitCode(); code == 1 || code == 2 || code < 0 {
					t.Errorf("%v: exit %d, %v\n%s", args, code, err, out)
				}
			}
			for _, id := range c.calls {
				if proxy.calls[id] == 0 {
					t.Errorf("no call %q among %v", id, proxy.calls)
				}
			}
			if proxy.calls[""] > 0 {
				t.Errorf("%d calls that the document does not have", proxy.calls[""])
			}
			if name == "token" && (proxy.heads["Assume-User"] == 0 || proxy.heads["Smartsheet-Integration-Source"] == 0) {
				t.Errorf("headers: %v", proxy.heads)
			}
		})
	}
}
