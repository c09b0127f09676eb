package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestAboutBuild(t *testing.T) {
	vcs := func(modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: "v1.4.0"}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "abc123"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: modified},
		}}
	}
	for name, tt := range map[string]struct {
		set  about
		bi   *debug.BuildInfo
		want about
	}{
		"a release":              {about{"1.5.0", "fff", "2026-02-03T00:00:00Z"}, vcs("true"), about{"1.5.0", "fff", "2026-02-03T00:00:00Z"}},
		"go build in a checkout": {about{}, vcs("false"), about{"1.4.0", "abc123", "2026-01-02T03:04:05Z"}},
		"an edited checkout":     {about{}, vcs("true"), about{"1.4.0", "abc123+dirty", "2026-01-02T03:04:05Z"}},
		"an image by hand":       {about{version: "9"}, &debug.BuildInfo{}, about{version: "9"}},
		"nothing is known":       {about{}, &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, about{version: "dev"}},
	} {
		if got := aboutBuild(tt.set, tt.bi); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

// Anybody can check a release: the same source gives the same bytes, wherever it lies.
// Go's cache may serve the second build; .ci/release does the same with two caches.
func TestReproducible(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	var binaries [2]string
	for i := range binaries {
		// Two folders, of different lengths, that hold the same source.
		folder := filepath.Join(t.TempDir(), strings.Repeat("x", 1+20*i))
		copySource(t, root, folder)
		file := filepath.Join(folder, "photosync")
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=1.2.3", "-o", file, "./cmd/photosync")
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		binaries[i] = string(data)
	}
	if binaries[0] != binaries[1] {
		t.Error("two folders give two binaries")
	}
	if strings.Contains(binaries[0], root) {
		t.Error("the binary names the folder it was built in")
	}
}

// copySource copies the source, without what git ignores, from root into folder.
func copySource(t *testing.T, root, folder string) {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "-co", "--exclude-standard", "go.mod", "go.sum", "cmd", "sync", "sources", "state")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // deleted and not yet committed
		}
		to := filepath.Join(folder, name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
