package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"photosync/sync/outcome"
)

const hostile = "<img src=x onerror=alert(1)>@x"

// sample is a report with n people, of whom every fifth failed.
func sample(n int) *Report {
	r := New("sync", "20261125T021503Z-abcdef", "1.2.3", time.Date(2026, 11, 25, 2, 15, 3, 0, time.UTC))
	r.FinishedAt = r.StartedAt.Add(72 * time.Second)
	r.Result, r.PlanID = Partial, "3f1c9a0b77de"
	r.Sources = []Source{{Name: "hr", Type: "folder", Complete: true, Listed: n, WithPhoto: n, Warnings: []string{"1 ignored"}}}
	code, refID := 1128, "k3x9"
	var items []Item
	for i := range n {
		it := Item{Email: fmt.Sprintf("person%05d@example.com", i), UserID: 48569348493401200, Source: "hr", Ref: "a.png",
			Reason: "new", Outcome: "uploaded", Attempts: 1, HTTPStatus: 200, Message: "SUCCESS", ImageID: "img",
			Image: &Image{Format: "jpeg", Width: 788, Height: 1050, Bytes: 96_000, SourceFormat: "png", SourceWidth: 1200, SourceHeight: 1600,
				SourceBytes: 412_000, Changes: []string{"scaled"}}}
		if i%5 == 4 {
			it.Outcome, it.HTTPStatus, it.ErrorCode, it.RefID, it.Message = "failed", 400, &code, &refID, "File too large"
			it.Hint, it.Image = "fix the photo", nil
		}
		items = append(items, it)
	}
	r.Add(items...)
	return r
}

// The report is written in parts, and it does not show.
func TestJSONIsThatOfTheWholeReport(t *testing.T) {
	for _, n := range []int{0, 1, 12} {
		r := sample(n)
		for i := range r.Items {
			r.Items[i].Ref, r.Items[i].FailedItems = "CN=<R&D>, \"\\ \u007f é 山\xff", nil
		}
		var got bytes.Buffer
		if err := r.Encode(&got, "json"); err != nil {
			t.Fatal(err)
		}
		for i := range r.Items { // no list is null
			r.Items[i].FailedItems = []FailedItem{}
		}
		want, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want)+"\n", got.String()); diff != "" {
			t.Errorf("%d items (-want +got):\n%s", n, diff)
		}
		if want, err = json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		got.Reset()
		if err := r.Encode(&got, "summary"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(`{"message_type":"summary",`+string(want[1:])+"\n", got.String()); diff != "" {
			t.Errorf("%d items on a line (-want +got):\n%s", n, diff)
		}
	}
}

// Nothing in a report, in whichever format, acts on a terminal or turns text around.
func TestNothingActs(t *testing.T) {
	const evil = "\x1b]0;owned\a\u202egnp\u2069"
	for _, format := range []string{"json", "html", "csv", "summary"} {
		r := sample(5)
		r.Error, r.Warnings = &Error{Message: evil, Hint: evil}, []string{evil}
		r.Findings = []outcome.Finding{{Message: evil, Hint: evil, Examples: []string{evil}}}
		r.Sources[0].Name, r.Sources[0].Warnings, r.SkippedByReason[evil] = evil, []string{evil}, 3
		for i := range r.Items {
			it, refID := &r.Items[i], evil
			it.Email, it.Source, it.Ref, it.Message, it.Hint, it.RefID, it.Candidates = evil, evil, evil, evil, evil, &refID, []string{evil}
			it.FailedItems, it.EarlierErrors = []FailedItem{{Message: evil, RefID: &refID}}, []AttemptError{{RefID: evil}}
		}
		var b bytes.Buffer
		if err := r.Encode(&b, format); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\a\u202e\u2069") || regexp.MustCompile(`\\u(00[01]|20[26])`).MatchString(b.String()) {
			t.Errorf("%s: %q", format, b.String())
		}
	}
}

func TestWriteAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	r := sample(3)
	r.Full = true
	files, err := Write(dir, r, []string{"json", "csv"})
	want := []string{filepath.Join(dir, r.RunID+".json"), filepath.Join(dir, r.RunID+".csv")}
	if err != nil || !slices.Equal(files, want) {
		t.Fatalf("files %q, %v, want %q", files, err, want)
	}
	for _, f := range []string{files[0], filepath.Join(dir, "latest.json")} {
		got, err := Read(f)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f, diff)
		}
	}
	if got := names(t, dir); len(got) != 4 {
		t.Errorf("files %q, want four and no temporary ones", got)
	}
	if _, err := Write(dir, r, []string{"docx"}); err == nil {
		t.Error("an unknown format was written")
	}
}

// One format that cannot be written does not cost the others.
func TestWriteGoesOnAfterAFailure(t *testing.T) {
	dir := t.TempDir()
	r := sample(1)
	if err := os.Mkdir(filepath.Join(dir, r.RunID+".csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := Write(dir, r, []string{"csv", "json"})
	if err == nil || outcome.Hint(err) == "" || len(files) != 1 {
		t.Errorf("files %q, error %v", files, err)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want, hint string }{
		{"newer", `{"schema_version": 2, "items": "other"}`, "schema_version 2, and this photosync reads 1", "newer photosync"},
		{"no report", `{"name": "x"}`, "not a report of photosync", "JSON file of a run"},
		{"no JSON", "<html>", "it is not a report of photosync, or a damaged one", "JSON file of a run"},
		{"cut short", `{"schema_version": 1, "items": [`, "a damaged one", "another one"},
		{"other types", `{"schema_version": 1, "items": "many"}`, "a damaged one", "another one"},
	} {
		path := filepath.Join(t.TempDir(), "r.json")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(outcome.Hint(err), c.hint) {
			t.Errorf("%s: error %v, hint %q", c.name, err, outcome.Hint(err))
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
