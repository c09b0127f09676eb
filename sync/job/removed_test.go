package job

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"photosync/sources"
	"photosync/sources/folder"
	"photosync/state"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

func placeholders(o *Job) { o.Policy.RemovedAfter = 3 }

// record is what we put on the user of person i, as the state knows it.
func (b *bench) record(i int) (u state.User) {
	b.t.Helper()
	err := b.st.View(func(v *state.Snapshot) error {
		for r, err := range v.Users() {
			if err != nil {
				return err
			}
			if r.Email == email(i) {
				u = r
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// row is what the state has about person i.
func (b *bench) row(i int) state.Person {
	b.t.Helper()
	r, _, err := b.st.Person(email(i))
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// expect demands what the last run did for person i, as "reason outcome", and what
// is counted; an empty want is a person that the report does not name.
func (b *bench) expect(change func(*Job), i int, want string, missing int) {
	b.t.Helper()
	r := b.must(change)
	got := ""
	for _, it := range r.Items {
		if it.Email == email(i) {
			got = string(it.Reason) + " " + string(it.Outcome)
		}
	}
	if got != want || b.record(i).Missing != missing {
		b.t.Fatalf("%q, counted %d; want %q, %d", got, b.record(i).Missing, want, missing)
	}
}

// The photo vanishes in either way, is replaced at the third run, and comes back.
func TestPlaceholder(t *testing.T) {
	for name, remove := range map[string]func(*bench){
		"person gone": func(b *bench) { b.mem.Remove(email(0)) },
		"photo gone":  func(b *bench) { b.mem.Put(email(0), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 2, simulator.Options{})
			b.must(placeholders)
			remove(b)
			b.expect(placeholders, 0, "no_photo skipped", 1)
			b.expect(placeholders, 0, "no_photo skipped", 2)
			if p := b.must(func(o *Job) { o.Policy.RemovedAfter, o.How.Mode = 3, Plan }); p.Totals.Planned != 1 || b.record(0).Missing != 2 {
				t.Fatalf("plan: %+v", p.Totals)
			}
			b.expect(placeholders, 0, "placeholder uploaded", 3)
			img, _ := b.sim.Image(email(0))
			drawn, err := photo.Initials("", email(0), 400)
			if err != nil || !bytes.Equal(img.Data, drawn.Data) {
				t.Errorf("the picture is not the placeholder: %v", err)
			}
			if rec := b.record(0); !rec.Sent.Placeholder || rec.Sent.ImageID != img.ID || rec.Sent.SourceSHA256 != "" {
				t.Errorf("record %+v", rec)
			}
			for range 2 {
				if r := b.must(placeholders); r.Totals.Uploaded != 0 {
					t.Errorf("again: %+v", r.Items)
				}
			}
			b.mem.Put(email(0), picture(0)) // the very same photo
			b.expect(placeholders, 0, "changed uploaded", 0)
			if rec := b.record(0); rec.Sent.Placeholder {
				t.Errorf("record %+v", rec)
			}
			b.expect(placeholders, 0, "", 0)
		})
	}
}

// A photo that is back in time starts the count anew, whatever becomes of its
// upload.
func TestPlaceholderCountsInARow(t *testing.T) {
	b := newBench(t, 1, simulator.Options{})
	b.must(placeholders)
	b.mem.Put(email(0), nil)
	b.expect(placeholders, 0, "no_photo skipped", 1)
	b.expect(placeholders, 0, "no_photo skipped", 2)
	b.sim.AddFault(simulator.Fault{Kind: "status", Status: 400, Code: 4999, Count: 1})
	b.mem.Put(email(0), picture(5))
	b.expect(placeholders, 0, "changed failed", 0)
	b.mem.Put(email(0), nil)
	b.expect(placeholders, 0, "no_photo skipped", 1)
	b.mem.Put(email(0), picture(0))
	b.expect(placeholders, 0, "", 0)
	b.mem.Remove(email(0))
	b.expect(placeholders, 0, "no_photo skipped", 1)
	b.mem.ListErr = fmt.Errorf("down") // says nothing about anybody
	if _, err := b.run(t.Context(), 1_000_000, placeholders); err == nil || b.record(0).Missing != 1 {
		t.Errorf("a failed listing: %v, counted %d", err, b.record(0).Missing)
	}
}

// Whoever a run is not about is neither counted nor replaced.
func TestPlaceholderSelection(t *testing.T) {
	b := newBench(t, 4, simulator.Options{})
	second := &Memory{}
	second.Put("other@example.com", picture(60))
	b.sim.AddUser(smartsheet.User{Email: "other@example.com"})
	b.more = append(b.more, sources.Named{Name: "second", Type: "memory", Source: second})
	b.must(placeholders)
	b.mem.Remove(email(0))
	b.mem.Put(email(1), nil)
	second.Remove("other@example.com")
	for name, change := range map[string]func(*Job){
		"only":     func(o *Job) { o.Policy.RemovedAfter, o.Scope.Only = 1, func(e string) bool { return e == email(2) } },
		"source":   func(o *Job) { o.Policy.RemovedAfter, o.Scope.Source = 1, "second" },
		"excluded": func(o *Job) { o.Policy.RemovedAfter, o.Policy.Excluded = 1, func(string) bool { return true } },
	} {
		if r := b.must(change); r.Totals.Uploaded != 0 || b.record(0).Missing+b.record(1).Missing != 0 {
			t.Errorf("%s: %+v", name, r.Items)
		}
	}
	r := b.must(func(o *Job) { o.Policy.RemovedAfter, o.Scope.Only = 1, func(e string) bool { return e == email(0) } })
	if r.Totals.Uploaded != 1 || r.Items[0].Email != email(0) {
		t.Errorf("only the one who is gone: %+v", r.Items)
	}
}

// Only our own picture is replaced, whoever has it now.
func TestPlaceholderOnlyOurs(t *testing.T) {
	once := func(o *Job) { o.Policy.RemovedAfter = 1 }
	for name, c := range map[string]struct {
		change func(*bench)
		want   string
		lost   bool
	}{
		"changed by the user": {func(b *bench) { b.sim.SetImage(email(0), picture(9)) }, "user_changed skipped", true},
		"inactive": {func(b *bench) {
			b.rebuild(smartsheet.User{ID: b.record(0).ID, Email: email(0), Status: "DEACTIVATED", ImageID: b.record(0).Sent.ImageID})
		}, "inactive_user skipped", false},
		"no user any more": {func(b *bench) { b.rebuild() }, "not_in_smartsheet skipped", true},
		"another user": {func(b *bench) {
			b.rebuild(smartsheet.User{ID: 5, Email: email(0), ImageID: b.record(0).Sent.ImageID})
		}, "not_in_smartsheet skipped", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1, simulator.Options{})
			b.must(once)
			c.change(b)
			b.mem.Remove(email(0))
			before := b.sim.Counts().ByOp["upload"]
			missing := 1
			if c.lost {
				missing = 0
			}
			b.expect(once, 0, c.want, missing)
			if lost := b.row(0).UserID == 0; lost != c.lost {
				t.Errorf("record %+v", b.record(0))
			}
			again := c.want
			if c.lost {
				again = ""
			}
			b.expect(once, 0, again, missing)
			if n := b.sim.Counts().ByOp["upload"]; n != before {
				t.Errorf("%d uploads", n-before)
			}
		})
	}
}

// rebuild replaces Smartsheet by one of the same account with these users.
func (b *bench) rebuild(users ...smartsheet.User) {
	b.sim = simulator.New(simulator.Options{Users: users})
}

// Somebody renamed keeps the picture that came with the new address.
func TestPlaceholderRenamed(t *testing.T) {
	once := func(o *Job) { o.Policy.RemovedAfter = 1 }
	b := newBench(t, 1, simulator.Options{})
	b.must(once)
	rec := b.record(0)
	b.rebuild(smartsheet.User{ID: rec.ID, Email: email(7), ImageID: rec.Sent.ImageID})
	b.mem.Remove(email(0))
	b.mem.Put(email(7), picture(0))
	r := b.must(once)
	if r.Totals.Uploaded != 0 || r.Totals.Unchanged != 1 || len(r.Items) != 0 {
		t.Errorf("%+v %+v", r.Totals, r.Items)
	}
}

// Placeholders are held like every removal, and a refused one is not sent again.
func TestPlaceholderGuardAndRefusal(t *testing.T) {
	change := func(o *Job) {
		guarded(o)
		o.Policy.RemovedAfter = 2
	}
	b := newBench(t, 100, simulator.Options{})
	b.must(change)
	for i := range 20 {
		b.mem.Remove(email(i))
	}
	r := b.held(change, "max_removed")
	b.must(func(o *Job) { o.Policy.Guards, o.Policy.RemovedAfter, o.How.Approve = &strict, 2, r.PlanID })
	r = b.held(change, "max_removed") // now it is about their pictures
	b.sim.AddFault(simulator.Fault{Kind: "status", Status: 400, Code: 1074, User: email(3)})
	done := b.must(func(o *Job) { o.Policy.Guards, o.Policy.RemovedAfter, o.How.Approve = &strict, 2, r.PlanID })
	if done.Totals.Uploaded != 19 || done.Totals.Failed != 1 {
		t.Errorf("totals %+v", done.Totals)
	}
	if quiet := b.must(change); quiet.Totals.Uploaded+quiet.Totals.Failed != 0 || quiet.SkippedByReason["known_bad"] != 1 {
		t.Errorf("totals %+v, skipped %v", quiet.Totals, quiet.SkippedByReason)
	}
}

// A photo that is gone is reported once under every policy, also where everybody is
// looked up every night.
func TestRemovedIsReportedOnce(t *testing.T) {
	for _, existing := range []plan.Existing{plan.OnSourceChange, plan.Enforce, plan.RespectUser, plan.FillEmpty} {
		for _, unknown := range []bool{false, true} {
			b := newBench(t, 2, simulator.Options{})
			b.mem.Unknown = unknown
			change := func(o *Job) { o.Policy.Existing = existing }
			b.must(change)
			b.mem.Put(email(0), nil)
			b.expect(change, 0, "no_photo skipped", 1)
			b.expect(change, 0, "", 1)
		}
	}
}

// Whoever gets an address is not refused because of what the user before was refused.
func TestRefusedForTheUserBefore(t *testing.T) {
	b := newBench(t, 3, simulator.Options{FirstUserID: 100})
	b.sim.AddFault(simulator.Fault{Kind: "status", Status: 400, Code: 1074, User: email(0)})
	b.must(nil)
	b.must(nil)
	b.rebuild(smartsheet.User{ID: 100, Email: "old@example.com"}, smartsheet.User{ID: 900, Email: email(0)}, smartsheet.User{ID: 101, Email: email(1)}, smartsheet.User{ID: 102, Email: email(2)})
	r := b.must(func(o *Job) { o.Policy.Refresh = time.Nanosecond })
	if len(r.Items) != 1 || r.Items[0].UserID != 900 || r.Items[0].Outcome != "uploaded" {
		t.Errorf("%+v", r.Items)
	}
}

// An entry that is still listed, and lost its usable address, keeps its picture until it
// is gone itself; then the runs in a row are counted from the beginning.
func TestPlaceholderNeedsTheEntryGone(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	mine := func(o *Job) {
		placeholders(o)
		o.Sources = slices.Clone(o.Sources)
		o.Sources[0].Domains = []string{"example.com"}
	}
	b.mem.Remove(email(0))
	entry := func(address string) {
		b.mem.Set(Entry{Ref: "cn=jo", Key: "jo", Own: []string{address}, Photo: picture(0)})
	}
	entry(email(0))
	b.must(mine)
	b.mem.Remove(email(0))
	b.expect(mine, 0, "no_photo skipped", 1)
	for range 4 {
		entry("jo@elsewhere.example")
		b.expect(mine, 0, "no_photo skipped", 0)
	}
	b.mem.Remove("jo@elsewhere.example")
	b.expect(mine, 0, "no_photo skipped", 1)
	b.expect(mine, 0, "no_photo skipped", 2)
	b.expect(mine, 0, "placeholder uploaded", 3)
}

// Somebody is listed with an address that match.domains rewrites since, and Smartsheet has not
// followed yet: the user's address is somebody's.
func TestPlaceholderAndAddressRewrittenSince(t *testing.T) {
	b := newBench(t, 2, simulator.Options{Users: []smartsheet.User{{Email: "ann@old.example"}}})
	b.mem.Set(Entry{Ref: "cn=ann", Key: "before", Own: []string{"ann@old.example"}, Photo: picture(10)})
	b.must(placeholders)
	b.mem.Remove("ann@old.example")
	b.mem.Set(Entry{Ref: "cn=ann", Key: "now", Own: []string{"ann@old.example"}, Photo: picture(11)})
	for range 4 {
		b.must(func(o *Job) {
			placeholders(o)
			o.Sources[0].Rewrite = map[string]string{"old.example": "example.com"}
		})
	}
	if img, _ := b.sim.Image("ann@old.example"); !bytes.Equal(img.Data, picture(10)) {
		t.Error("initials replaced the picture of somebody who is listed")
	}
}

// The entry that listed the person last, still without a photo, is theirs, as is the one that had the photo.
func TestPlaceholderNeedsTheNewEntryGone(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	entry := func(key, address string, photo []byte) {
		b.mem.Remove(email(0))
		b.mem.Set(Entry{Ref: "cn=jo", Key: key, Own: []string{address}, Photo: photo})
	}
	entry("old", email(0), picture(0))
	b.must(placeholders)
	entry("new", email(0), nil)
	b.expect(placeholders, 0, "no_photo skipped", 1)
	b.expect(placeholders, 0, "no_photo skipped", 2)
	entry("new", "married@example.com", picture(50))
	for range 4 {
		b.expect(placeholders, 0, "", 2)
	}
	if img, _ := b.sim.Image(email(0)); !bytes.Equal(img.Data, picture(0)) {
		t.Error("initials replaced the picture of somebody who was renamed")
	}
}

// A source that shows no keys any more still lists the entry, by its name.
func TestPlaceholderAndKeysThatAreHidden(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	b.mem.Remove(email(0))
	b.mem.Set(Entry{Ref: "cn=jo", Key: "jo", Own: []string{email(0)}, Photo: picture(0)})
	b.must(placeholders)
	b.mem.Remove(email(0))
	b.mem.Set(Entry{Ref: "cn=jo", Own: []string{"married@example.com"}, Photo: picture(50)})
	for range 4 {
		b.must(placeholders)
	}
	if img, _ := b.sim.Image(email(0)); !bytes.Equal(img.Data, picture(0)) {
		t.Error("initials replaced the picture of somebody who is listed")
	}
}

// An entry that lost its address to another one, which has no photo yet, keeps its picture until it is gone.
func TestPlaceholderNeedsTheLosingEntryGone(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	mine := func(o *Job) {
		placeholders(o)
		o.Sources = slices.Clone(o.Sources)
		o.Sources[0].Rewrite = map[string]string{"old.example": "example.com"}
	}
	b.mem.Remove(email(0))
	b.mem.Set(Entry{Ref: "cn=old", Key: "old", Own: []string{"p00000@old.example"}, Photo: picture(0)})
	b.must(mine)
	b.mem.Set(Entry{Ref: "cn=new", Key: "new", Own: []string{email(0)}})
	for range 4 {
		b.expect(mine, 0, "no_photo skipped", 0)
	}
	b.mem.Remove("p00000@old.example")
	b.expect(mine, 0, "no_photo skipped", 1)
}

// A source that was taken out of the configuration says nothing of its people: its photos
// were not removed.
func TestPlaceholderNeedsTheSource(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	b.mem.Remove(email(0))
	second := &Memory{}
	second.Put(email(0), picture(0))
	b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
	b.must(placeholders)
	more := b.more
	b.more = nil
	for range 4 {
		b.expect(placeholders, 0, "no_photo skipped", 0)
	}
	b.more = more
	second.Remove(email(0))
	b.expect(placeholders, 0, "no_photo skipped", 1)
}

// A file that still lies in the folder was not removed, though it names nobody any more: the
// mapping file was cut short, subfolders or a domain were taken out of the configuration.
func TestPlaceholderNeedsTheFileGone(t *testing.T) {
	for name, c := range map[string]struct {
		file          string
		before, after folder.Options
		domains       []string
		mapping       string // afterwards; before: everybody
		unseen        bool   // nobody checks whether the file is there
		link          string // a folder that is moved out, and a link put in its place
	}{
		"mapping file":    {file: "E0.png", before: folder.Options{MappingFile: "m.csv"}, after: folder.Options{MappingFile: "m.csv"}, mapping: "E1," + email(1) + "\n"},
		"subfolders":      {file: "sales/north/" + email(0) + ".png", before: folder.Options{Recursive: true}, unseen: true},
		"a quoted folder": {file: "Z\xfcrich/" + email(0) + ".png", before: folder.Options{Recursive: true}, unseen: true},
		"a linked folder": {file: "sales/" + email(0) + ".png", before: folder.Options{Recursive: true}, after: folder.Options{Recursive: true}, unseen: true, link: "sales"},
		"another name":    {file: email(0) + ".png", after: folder.Options{MappingFile: "m.csv"}, mapping: "E1," + email(1) + "\n"},
		"other domains":   {file: email(0) + ".png", domains: []string{"example.org"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 2, simulator.Options{})
			dir := t.TempDir()
			write := func(name string, data []byte) {
				path := filepath.Join(dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			from := func(o folder.Options, domains []string) func(*Job) {
				o.Path = dir
				return func(j *Job) {
					placeholders(j)
					j.Sources = []sources.Named{{Name: "hr", Type: "folder", Source: folder.New(o), Domains: domains}}
				}
			}
			write(c.file, picture(0))
			write("E1.png", picture(1))
			write("m.csv", []byte("E0,"+email(0)+"\nE1,"+email(1)+"\n"))
			b.must(from(c.before, nil))
			if img, _ := b.sim.Image(email(0)); !bytes.Equal(img.Data, picture(0)) {
				t.Fatal("not uploaded")
			}
			write("m.csv", []byte(c.mapping))
			if c.link != "" {
				away, here := filepath.Join(t.TempDir(), c.link), filepath.Join(dir, c.link)
				if err := errors.Join(os.Rename(here, away), os.Symlink(away, here)); err != nil {
					t.Fatal(err)
				}
			}
			for range 4 {
				b.expect(from(c.after, c.domains), 0, "no_photo skipped", 0)
			}
			if err := os.Remove(filepath.Join(dir, c.file)); err != nil {
				t.Fatal(err)
			}
			b.expect(from(c.after, c.domains), 0, "no_photo skipped", map[bool]int{true: 0, false: 1}[c.unseen])
		})
	}
}

// Initials were drawn for somebody who then gets a photo that counts as none.
func TestPlaceholderAndIgnoredPicture(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	ignoring := func(o *Job) {
		placeholders(o)
		o.Policy.RemovedAfter, o.Policy.Ignored = 1, []string{plan.Sum(picture(99))}
	}
	b.must(ignoring)
	b.mem.Remove(email(0))
	b.expect(ignoring, 0, "placeholder uploaded", 1)
	initials, _ := b.sim.Image(email(0))
	b.mem.Put(email(0), picture(99))
	b.expect(ignoring, 0, "no_photo skipped", 0)
	b.expect(ignoring, 0, "", 0)
	if now, _ := b.sim.Image(email(0)); now.ID != initials.ID {
		t.Error("the initials were replaced")
	}
	b.mem.Put(email(0), picture(5))
	b.expect(ignoring, 0, "changed uploaded", 0)
}

// The source that had the photo stays known while another one lists the person without one.
func TestPlaceholderNeedsTheSourceThatHadIt(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	second := &Memory{}
	second.Put(email(0), nil)
	b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
	b.must(placeholders)
	b.mem.Put(email(0), nil)
	b.expect(placeholders, 0, "no_photo skipped", 1)
	for range 4 {
		r, err := b.run(t.Context(), 1_000_000, func(o *Job) { placeholders(o); o.Sources = o.Sources[1:] })
		if err == nil && r.Totals.Uploaded > 0 {
			t.Fatalf("initials, although the source that had the photo is gone: %+v", r.Items)
		}
	}
}

// Somebody whom the run is not about got the picture since the last run: it was not removed.
func TestPlaceholderOnlyAndPictureMoved(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	at := func(o *Job) { o.Policy.RemovedAfter = 1 }
	b.must(at)
	b.mem.Remove(email(0))
	b.mem.Put(email(1), picture(0))
	b.expect(func(o *Job) { at(o); o.Scope.Only = func(e string) bool { return e == email(0) } }, 0, "no_photo skipped", 0)
}

// Photos that go missing with most others of their source, or of their folder, were not removed: a
// subfolder is not mounted, or somebody put a file into an empty mount point. It makes no difference
// that those are too few for the guards, or that each of several runs is about a part of them.
func TestPlaceholderNotForMany(t *testing.T) {
	for name, c := range map[string]struct {
		people, lost int
		in           string // the folder of those who are lost
		left         int    // new people in it
		quoted       bool   // the file of one of them has a name that is not printable
		shards       int    // 0: one run is about everybody
		drawn        bool
	}{
		"a source, and a new file":         {9, 9, "", 1, false, 0, false},
		"a subfolder of many people":       {60, 8, "sales/", 0, false, 0, false},
		"a subfolder with a quoted name":   {60, 8, "sales/", 0, true, 0, false},
		"a subfolder, and a new file":      {60, 8, "north/sales/", 1, false, 0, false},
		"a few of a source":                {60, 8, "", 0, false, 0, true},
		"one person's folder":              {60, 1, "p1/", 0, false, 0, true},
		"two of a subfolder with others":   {60, 2, "sales/", 2, false, 0, true},
		"more than half of a small source": {9, 6, "", 0, false, 0, false},
		"shards of a small source":         {9, 8, "", 0, false, 2, false},
		"shards of a source, a new file":   {9, 9, "", 1, false, 4, false},
		"shards of a subfolder":            {60, 8, "sales/", 0, false, 4, false},
		"a few in each shard":              {60, 8, "", 0, false, 4, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.people, simulator.Options{})
			states := []*state.Store{b.st}
			for len(states) < c.shards {
				states = append(states, newBench(t, 0, simulator.Options{}).st)
			}
			night := func() {
				for k, st := range states {
					b.must(func(o *Job) {
						guarded(o)
						o.State, o.Policy.RemovedAfter, o.Scope.Shard = st, 3, plan.Shard{Index: k, Count: c.shards}
					})
				}
			}
			set := func(i int) {
				ref := ""
				if i < c.lost {
					ref = "mem/" + c.in + email(i)
				}
				if c.quoted && i == 0 {
					ref = strconv.Quote(ref + "\xfc")
				}
				b.mem.Set(Entry{Ref: ref, Own: []string{email(i)}, Photo: picture(i)})
			}
			for i := range c.people {
				b.mem.Remove(email(i))
				set(i)
			}
			night()
			for i := range c.lost {
				b.mem.Remove(email(i))
			}
			for i := range c.left {
				b.mem.Set(Entry{Ref: "mem/" + c.in + "new" + email(i), Own: []string{"new" + email(i)}, Photo: picture(100 + i)})
			}
			for range 5 {
				night()
			}
			for i := range c.lost {
				if img, _ := b.sim.Image(email(i)); bytes.Equal(img.Data, picture(i)) == c.drawn {
					t.Errorf("initials for %s: %t", email(i), !c.drawn)
				}
			}
			for i := range c.lost {
				set(i)
			}
			if night(); c.shards == 0 && b.record(0).Missing != 0 {
				t.Errorf("back again: %+v", b.record(0))
			}
		})
	}
}

// A run about one person does not know who else is missing from a folder that has nobody left.
func TestPlaceholderOnlyAndAnEmptyFolder(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	for i := range 4 {
		b.mem.Remove(email(i))
		b.mem.Set(Entry{Ref: "mem/sales/" + email(i), Own: []string{email(i)}, Photo: picture(i)})
	}
	b.must(placeholders)
	for i := range 4 {
		b.mem.Remove(email(i))
	}
	for range 4 {
		b.expect(func(o *Job) { placeholders(o); o.Scope.Only = func(e string) bool { return e == email(0) } }, 0, "no_photo skipped", 0)
	}
}

// A run about one person counts everybody who is missing: most of the source may be.
func TestPlaceholderOnlyAndMostAreGone(t *testing.T) {
	for name, lose := range map[string]func(*bench, int){
		"people": func(b *bench, i int) { b.mem.Remove(email(i)) },
		"photos": func(b *bench, i int) { b.mem.Put(email(i), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 9, simulator.Options{})
			rules := func(o *Job) { guarded(o); placeholders(o) }
			b.must(rules)
			for i := range 6 {
				lose(b, i)
			}
			for range 4 {
				b.expect(func(o *Job) { rules(o); only(o, email(0)) }, 0, "no_photo skipped", 0)
			}
			for i := 1; i < 6; i++ {
				b.mem.Put(email(i), picture(i))
			}
			b.expect(func(o *Job) { rules(o); only(o, email(0)) }, 0, "no_photo skipped", 1)
		})
	}
}

// A source that loses all its photos at once, such as a share that is not mounted or an account
// without rights, draws no initials over anybody, though it is too small for the guards.
func TestAllPhotosGone(t *testing.T) {
	for name, lose := range map[string]func(*bench, int){
		"people": func(b *bench, i int) { b.mem.Remove(email(i)) },
		"photos": func(b *bench, i int) { b.mem.Put(email(i), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 8, simulator.Options{})
			b.mem.Put("readme@elsewhere.org", nil) // so that the source lists somebody
			rules := func(o *Job) { guarded(o); placeholders(o) }
			b.must(rules)
			for i := range 8 {
				lose(b, i)
			}
			for night := range 5 {
				if r := b.must(rules); r.Totals.Uploaded != 0 || !r.Urgent() {
					t.Fatalf("night %d: %+v, findings %v", night, r.Totals, r.Findings)
				}
			}
			for i := range 8 {
				b.mem.Put(email(i), picture(i))
			}
			if r := b.must(rules); r.Result != report.NothingToDo || r.Totals.Unchanged+r.Totals.Skipped != 9 {
				t.Errorf("back again: %s, %+v", r.Result, r.Totals)
			}
			lose(b, 3) // one of eight
			for range 2 {
				b.must(rules)
			}
			b.expect(rules, 3, "placeholder uploaded", 3)
		})
	}
}

// The picture of somebody who left is not that of a colleague who has the address as an alias, and
// never had a photo.
func TestPlaceholderNotForAnAlias(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	entry := func(i int, alias []string, photo []byte) {
		b.mem.Remove(email(i))
		b.mem.Set(Entry{Ref: "cn=" + email(i), Key: "key of " + email(i), Own: []string{email(i)}, Aliases: alias, Photo: photo})
	}
	entry(0, nil, picture(0))
	entry(1, nil, nil)
	b.must(placeholders)
	b.mem.Remove(email(0))
	b.sim.RemoveUser(email(1))
	entry(1, []string{email(0)}, nil)
	for range 5 {
		b.must(func(o *Job) { placeholders(o); o.Policy.Refresh = 1 }) // everybody is looked up
	}
	entry(1, []string{email(0)}, picture(1))
	b.expect(placeholders, 1, "ambiguous skipped", 0)
	if img, _ := b.sim.Image(email(0)); !bytes.Equal(img.Data, picture(0)) {
		t.Error("the picture of somebody who left was replaced")
	}
}

// Two people have the same name in two domains, which match.domains makes one. The person who is
// listed with the address leaves: the account does not pass to the other one by that alone.
func TestMergedDomainsAndTheHolderLeaves(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	merged := func(o *Job) { o.Sources[0].Rewrite = map[string]string{"old.example": "example.com"} }
	b.mem.Remove(email(0))
	b.mem.Set(Entry{Ref: "cn=a", Key: "a", Own: []string{email(0)}, Photo: picture(10)})
	b.mem.Set(Entry{Ref: "cn=b", Key: "b", Own: []string{"p00000@old.example"}, Photo: picture(11)})
	b.must(merged)
	b.mem.Remove(email(0))
	for range 2 {
		b.expect(merged, 0, "ambiguous skipped", 0)
	}
	if img, _ := b.sim.Image(email(0)); !bytes.Equal(img.Data, picture(10)) {
		t.Error("the account of somebody who left got the picture of another person")
	}
	b.mem.Remove("p00000@old.example")
	b.mem.Set(Entry{Ref: "cn=b", Key: "a", Own: []string{"p00000@old.example"}, Photo: picture(12)})
	b.expect(merged, 0, "changed uploaded", 0) // the same entry, which got the other address
	b.mem.Remove("p00000@old.example")
	b.mem.Set(Entry{Ref: "cn=b", Key: "moved", Own: []string{"p00000@old.example"}, Photo: picture(13)})
	b.expect(merged, 0, "changed uploaded", 0) // a new directory: both entries were listed with the other domain
}
