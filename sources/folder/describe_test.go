//go:build unix

package folder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"photosync/sources"
)

func TestDescribe(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"E1.jpg": "four", "badges.csv": "E2,bob@example.com\ne1,Ann@example.com\n"})
	if err := os.Symlink("E1.jpg", filepath.Join(dir, "E2.jpg")); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Path: dir, MappingFile: "badges.csv", MinAge: time.Hour})
	for name, want := range map[string][]string{
		"E1.jpg":   {"path=" + dir + "/E1.jpg\n", "size=4 bytes\n", "modified=20", "inode=", "badges.csv, line 2: e1, ann@example.com\n", "age=less than 1h0m0s"},
		"E2.jpg":   {"link to=E1.jpg\n", "size=4 bytes\n", "line 1: e2, bob@example.com\n"},
		"gone.jpg": {"path=" + dir + "/gone.jpg\n", "file=no such file"},
	} {
		facts, err := s.Describe(t.Context(), sources.Ref{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, f := range facts {
			text += f.Name + "=" + f.Value + "\n"
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: says %q, want %q", name, text, w)
			}
		}
	}
	if _, err := New(Options{Path: filepath.Join(dir, "none")}).Describe(t.Context(), sources.Ref{Name: "E1.jpg"}); err == nil {
		t.Error("a folder that is away was described")
	}
}
