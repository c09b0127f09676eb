package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

// One silhouette for thirty people is reported once, and once more when a thirty-first has it.
// The line to paste stands in the report, in the summary and in the explanation; with it, the
// silhouette is no photo.
func TestSilhouetteIsReportedOnce(t *testing.T) {
	s := newSite(t, users(40), "")
	text := func(code int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		env := func(name string) string { return map[string]string{"SMARTSHEET_ACCESS_TOKEN": token}[name] }
		if args[0] != "report" {
			args = append(args, "--config", s.conf)
		}
		if got := run(context.Background(), args, env, &out, &errs); got != code {
			t.Fatalf("photosync %q: exit %d, want %d\n%s%s", args, got, code, out.String(), errs.String())
		}
		return out.String()
	}
	for i := range 30 {
		s.put(email(i), picture(7))
	}
	s.put(email(35), picture(35))
	first := text(exitAttention, "sync")
	line := fmt.Sprintf("ignore_pictures: [%s]", s.latest().Items[0].Image.SourceSHA256)
	for what, got := range map[string]string{
		"summary": first, "explanation": text(exitDone, "explain", email(3)), "report": s.latest().Items[0].Hint, "page": text(exitDone, "report", s.latestPath(), "--html"),
	} {
		if !strings.Contains(got, line) {
			t.Errorf("the %s lacks %q:\n%.3000s", what, line, got)
		}
	}
	again := text(exitDone, "sync")
	if !strings.Contains(again, "– 30 people: One picture for many people") || strings.Contains(again, "as it should be") || !strings.Contains(again, line) {
		t.Errorf("the second night says\n%s", again)
	}
	s.put(email(30), picture(7))
	if r := s.run(exitAttention, "sync"); r.NeedsAttention() != 1 || r.Totals.Held != 31 {
		t.Errorf("with one more: %+v", r.Totals)
	}
	s.run(exitDone, "sync")
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.conf, append(conf, ("match:\n  "+line+"\n")...), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.run(exitDone, "sync"); r.SkippedByReason["no_photo"] != 31 || r.Totals.Held != 0 {
		t.Errorf("with the line: %+v", r.Totals)
	}
}
