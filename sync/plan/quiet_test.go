package plan

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"photosync/sources"
	"photosync/state"
)

// Whoever is called quiet would have been found unchanged; and on a night like any
// other everyone who would be is called quiet.
func TestQuietIsUnchanged(t *testing.T) {
	quiet, loud := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		ordinary := rapid.Bool().Draw(t, "ordinary")
		rare := func(name string) bool { return !ordinary && rapid.IntRange(0, 9).Draw(t, name) == 9 }
		o := &Options{
			Rendering: "R", Sources: []string{"hr", "ad"},
			Force:    rare("force"),
			Checksum: rare("checksum"),
			Existing: rapid.SampledFrom([]Policy{"", OnSourceChange, Enforce, RespectUser, FillEmpty}).Draw(t, "policy"),
			Source:   rapid.SampledFrom([]string{"", "", "", "hr", "ad"}).Draw(t, "source"),
		}
		if ordinary {
			o.Existing, o.Source = "", ""
		}
		if rare("excluded") {
			o.Excluded = func(string) bool { return true }
		}
		j := sources.Joined{Emails: []string{"a@x"}, Ambiguous: rare("ambiguous")}
		for i := range rapid.IntRange(1, 2).Draw(t, "candidates") {
			c := sources.Candidate{Source: i}
			c.Ref.Name = fmt.Sprint("ref ", rapid.IntRange(0, 1).Draw(t, "ref"))
			c.Stamp = rapid.SampledFrom([]string{"1", "1", "1\nad=1", "2", ""}).Draw(t, "stamp")
			c.HasPhoto = rapid.SampledFrom([]sources.Presence{sources.Present, sources.Absent, sources.Unknown}).Draw(t, "presence")
			j.Candidates = append(j.Candidates, c)
		}
		some := func(name, value string) string {
			if ordinary {
				return value
			}
			return rapid.SampledFrom([]string{value, value, value, value, "", "else"}).Draw(t, name)
		}
		r := state.Record{
			Email: "a@x", Source: some("from", "hr"), Ref: some("ref", "ref 0"), SourceSHA256: some("hash", "h"),
			UploadSHA256: some("uploaded", "h"), Rendering: some("rendering", "R"), UserID: 7, ImageID: "i",
			Placeholder: rare("placeholder"),
		}
		if rare("missing") {
			r.Missing = 1
		}
		s := About(j)
		s.Remembered = &r
		r.Stamp = rapid.SampledFrom([]string{chainStamp(s, o, winner(s, o)), "hr=1", "hr=1\nad=1", ""}).Draw(t, "remembered")
		if rare("failed") {
			r.Failure = &state.Failure{Final: rapid.Bool().Draw(t, "final"), Hash: "h"}
		}
		e := &state.Entry{
			Email: r.Email, Source: r.Source, Rendering: r.Rendering, Ref: r.Ref, Stamp: r.Stamp, Photo: r.SourceSHA256 != "",
			Uploaded: r.UploadSHA256 != "", Noted: r.Failure != nil || r.Missing > 0 || r.Placeholder,
		}
		source, ok := Quiet(j, e, o)
		read := NeedsLook(s, o)
		p := Build([]*Subject{s}, o)
		unchanged := !read && p.Unchanged == 1 && len(p.Settled) == 0
		switch {
		case ok && (!unchanged || p.WithPhoto[source] != 1):
			t.Fatalf("quiet by source %d; read %v, plan %+v", source, read, p)
		case !ok && unchanged && !e.Noted && o.Source == "" && o.Existing != Enforce && !o.Checksum:
			t.Fatalf("not quiet, and the plan is %+v", p)
		case ok:
			quiet++
		default:
			loud++
		}
	})
	t.Logf("%d quiet, %d not", quiet, loud)
	if quiet == 0 || loud == 0 {
		t.Errorf("%d quiet, %d not: this tests nothing", quiet, loud)
	}
}
