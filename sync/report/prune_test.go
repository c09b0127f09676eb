package report

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPrune(t *testing.T) {
	const (
		oldest = "20261120T020000Z-aaaaaa"
		older  = "20261121T020000Z-zzzzzz"
		old    = "20261121T030000Z-aaaaaa"
		newest = "20261122T020000Z-aaaaaa"
	)
	foreign := []string{
		"latest.json", "latest.html", "notes.txt", oldest + ".txt", oldest + ".json.bak", oldest, "x" + oldest + ".json", "20261120T020000Z-AAAAAA.json",
	}
	files := []string{oldest + ".json", oldest + ".html", oldest + ".csv", oldest + ".plan.json", older + ".html", old + ".json", newest + ".json", newest + ".html"}
	for _, c := range []struct {
		name    string
		keep    int
		current string
		gone    []string
	}{
		{"all", 0, newest, nil},
		{"more than there are", 30, newest, nil},
		{"all but two", 2, newest, files[:5]},
		{"only this one", 1, newest, files[:6]},
		{"a clock that went back: this run stays", 1, oldest, files[4:]},
		{"two, with this one", 2, oldest, files[4:6]},
		{"this run wrote nothing", 3, "20261123T020000Z-aaaaaa", files[:4]},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			want := map[string]bool{oldest + ".json.d": true}
			if err := os.MkdirAll(filepath.Join(dir, oldest+".json.d"), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, f := range append(append([]string{}, foreign...), files...) {
				want[f] = true
				if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range c.gone {
				delete(want, f)
			}
			if err := Prune(dir, c.keep, c.current); err != nil {
				t.Error(err)
			}
			got := map[string]bool{}
			for _, f := range names(t, dir) {
				got[f] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
	if err := Prune(filepath.Join(t.TempDir(), "none"), 1, newest); err == nil {
		t.Error("no error for a folder that is not there")
	}
}

// Runs by hand, and runs that failed, do not push out the reports of the nights, nor the
// other way round.
func TestPruneKeepsNightsApart(t *testing.T) {
	dir := t.TempDir()
	var nights, others []string
	for day := 1; day <= 6; day++ {
		night := fmt.Sprintf("202611%02dT020000Z-aaaaaa", day)
		nights = append(nights, night)
		write := func(id, mode string, full bool) {
			r := New(mode, id, "1", time.Time{})
			r.Full = full
			if _, err := Write(dir, r, []string{"json", "html"}); err != nil {
				t.Fatal(err)
			}
			if err := Prune(dir, 3, id); err != nil {
				t.Fatal(err)
			}
		}
		write(night, "sync", true)
		for hour := 10; hour < 10+day; hour++ {
			id := fmt.Sprintf("202611%02dT%02d0000Z-aaaaaa", day, hour)
			others = append(others, id)
			write(id, []string{"sync", "plan"}[hour%2], false)
		}
	}
	var want []string
	for _, id := range append(nights[3:], others[len(others)-3:]...) {
		want = append(want, id+".json", id+".html")
	}
	want = append(want, "latest.json", "latest.html", "latest-plan.json", "latest-plan.html")
	got := names(t, dir)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
