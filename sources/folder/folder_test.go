//go:build unix

package folder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"photosync/sources"
	"photosync/sources/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type place struct {
	t   *testing.T
	dir string
}

func (p place) Put(email string, photo []byte) {
	if err := os.WriteFile(filepath.Join(p.dir, email+".jpg"), photo, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p place) Remove(email string) {
	if err := os.Remove(filepath.Join(p.dir, email+".jpg")); err != nil {
		p.t.Fatal(err)
	}
}

// Age waits for the file system's own clock: a change time cannot be set.
func (p place) Age()                   { time.Sleep(clockGranularity + 50*time.Millisecond) }
func (p place) Source() sources.Source { return New(Options{Path: p.dir}) }

func TestContract(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Place { return place{t, t.TempDir()} })
}

func TestWhatIsAndIsNotAPhoto(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret@example.com.jpg")
	files := []string{
		"Ann.Lee@Example.COM.JPG", "bob+x@example.com.jpeg", "cy@example.com.png", "di@example.com.Gif",
		"fe%40example.com.jpg", "Readme.txt", "no-email.jpg", ".hidden@example.com.jpg", "sub/ed@example.com.jpg", "sub/.git/x@example.com.jpg",
		"lost+found/x@example.com.jpg", "#recycle/ed@example.com.jpg", "@eaDir/ann.lee@example.com.jpg/SYNOPHOTO_THUMB_M.jpg",
		"$Recycle.Bin/x@example.com.jpg", "RECYCLER/x@example.com.jpg", "@Recently-Snapshot/x@example.com.jpg", "__MACOSX/x@example.com.jpg",
		"#gus@example.com.jpg", "#HR/hal@example.com.jpg", // to sort it to the top
	}
	for _, f := range files {
		put(t, dir, map[string]string{f: "x"})
	}
	put(t, filepath.Dir(outside), map[string]string{filepath.Base(outside): "x"})
	for link, to := range map[string]string{"link@example.com.jpg": "cy@example.com.png", "out@example.com.jpg": outside, "dangling@example.com.jpg": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir, map[string]string{"gil@example.com.HEIC": "x", "cy@example.com.heic": "x"})
	makeFIFO(t, filepath.Join(dir, "fifo@example.com.jpg"))
	for _, c := range []struct {
		recursive bool
		want      []string
	}{
		{false, []string{"#gus@example.com", "ann.lee@example.com", "bob+x@example.com", "cy@example.com", "di@example.com", "fe@example.com", "link@example.com"}},
		{true, []string{"#gus@example.com", "ann.lee@example.com", "bob+x@example.com", "cy@example.com", "di@example.com", "ed@example.com", "fe@example.com", "hal@example.com", "link@example.com"}},
	} {
		var got, hidden []string
		l, err := New(Options{Path: dir, Recursive: c.recursive}).List(t.Context(), func(p sources.Person) error {
			if p.HasPhoto == sources.Hidden {
				hidden = append(hidden, p.Own[0])
			} else {
				got = append(got, p.Own[0])
			}
			return nil
		})
		slices.Sort(got)
		slices.Sort(hidden)
		// What cannot be sent was not removed either. A JPEG beside it is the photo.
		if want := []string{"dangling@example.com", "fifo@example.com", "gil@example.com", "out@example.com"}; !slices.Equal(hidden, want) {
			t.Errorf("recursive %v: hidden %q, want %q", c.recursive, hidden, want)
		}
		if want := len(c.want) + 7; !c.recursive && l.Entries != want+2 || c.recursive && l.Entries != want {
			t.Errorf("recursive %v: %d entries, want %d and subfolders that are not read: nothing hidden", c.recursive, l.Entries, want)
		}
		if err != nil || !l.Complete || !slices.Equal(got, c.want) {
			t.Errorf("recursive %v: complete %v, error %v, people %q, want %q", c.recursive, l.Complete, err, got, c.want)
		}
		w := strings.Join(l.Warnings, "\n")
		for _, want := range []string{
			`1 ignored: the name is not an email address (first: "no-email.jpg")`, `1 ignored: not named .jpg, .png, .gif, .webp, .bmp or .tif (first: "Readme.txt")`,
			`2 ignored: HEIC, AVIF, SVG, PDF and raw files cannot be sent: export these photos as JPEG (first: "cy@example.com.heic")`,
			"ignored: hidden, or the file server's own (first: \"#recycle\")", "1 ignored: not a regular file", "2 ignored: a link that is absolute, leads out",
		} {
			if !strings.Contains(w, want) {
				t.Errorf("recursive %v: warnings %q lack %q", c.recursive, l.Warnings, want)
			}
		}
	}
}

func TestReadingNeverLeavesTheFolderNorWaits(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "out.jpg")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, dir, map[string]string{"gil@example.com.HEIC": "x"})
	makeFIFO(t, filepath.Join(dir, "fifo.jpg")) // has taken a file's place since the listing
	huge, err := os.Create(filepath.Join(dir, "huge.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(huge.Truncate(sources.MaxPhotoBytes+1), huge.Close()); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Path: dir})
	for name, want := range map[string]error{"out.jpg": nil, "fifo.jpg": nil, "../" + filepath.Base(filepath.Dir(outside)) + "/secret": nil, "huge.jpg": sources.ErrTooLarge, "none.jpg": sources.ErrGone} {
		p := sourcetest.Read(t, s, sources.Ref{Name: name})
		if p.Err == nil || p.Data != nil || (want != nil && !errors.Is(p.Err, want)) {
			t.Errorf("read %q: %q, error %v; want an error (%v)", name, p.Data, p.Err, want)
		}
	}
	if p := sourcetest.Read(t, s, sources.Ref{Name: "empty.jpg"}); p.Err != nil || len(p.Data) != 0 {
		t.Errorf("read an empty file: %q, error %v; want an empty photo", p.Data, p.Err)
	}
}

func TestFolderThatCannotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	makeFIFO(t, fifo)
	for _, path := range []string{filepath.Join(t.TempDir(), "missing"), file, fifo} {
		l, err := New(Options{Path: path}).List(t.Context(), func(sources.Person) error { return nil })
		e, ok := errors.AsType[*Error](err)
		if !ok || l.Complete || !strings.Contains(err.Error(), path) || e.Hint() == "" {
			t.Errorf("List of %q: complete %v, error %v", path, l.Complete, err)
		}
		err = New(Options{Path: path}).Photos(t.Context(), []sources.Ref{{Name: "a.jpg"}}, func(p sources.Photo) error {
			t.Errorf("Photos of %q called back with error %v; a folder that is away has lost no photo", path, p.Err)
			return nil
		})
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("Photos of %q: error %v", path, err)
		}
	}
}

// A share that is unmounted after the listing leaves an empty folder, in which nothing
// is gone.
func TestFolderThatIsReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "share")
	put(t, dir, map[string]string{"ann@example.com.jpg": "ann"})
	s := New(Options{Path: dir})
	ref := sourcetest.List(t, s)["ann@example.com"].Ref
	if err := errors.Join(os.Rename(dir, dir+" away"), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	err := s.Photos(t.Context(), []sources.Ref{ref}, func(p sources.Photo) error {
		t.Errorf("called back with error %v", p.Err)
		return nil
	})
	if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), "not the folder that was listed") || !strings.Contains(e.Hint(), "mounted") {
		t.Errorf("read from a folder that took the place of the listed one: error %v", err)
	}
	// Mounted anew it is another folder, too, with the files in it.
	put(t, dir, map[string]string{"ann@example.com.jpg": "ann"})
	if p := sourcetest.Read(t, s, ref); p.Err != nil || string(p.Data) != "ann" {
		t.Errorf("read %q, error %v", p.Data, p.Err)
	}
}

// Names that are no text are read, and shown so that they stay apart, on one line and
// the same in JSON.
func TestNamesThatAreNoText(t *testing.T) {
	dir := t.TempDir()
	want := map[string]string{
		"lf\n/ann@example.com.jpg": `"lf\n/ann@example.com.jpg"`, "l1 \xff/bob@example.com.jpg": `"l1 \xff/bob@example.com.jpg"`,
		"l1 \xfe/cy@example.com.jpg": `"l1 \xfe/cy@example.com.jpg"`, "esc\x1b[31m/di@example.com.jpg": `"esc\x1b[31m/di@example.com.jpg"`,
		"a \"b\"\\/ed@example.com.jpg": `a "b"\/ed@example.com.jpg`, "Zürich/fe@example.com.jpg": "Zürich/fe@example.com.jpg",
		"gus@example.com\n.jpg": `"gus@example.com\n.jpg"`,
	}
	for name := range want {
		put(t, dir, map[string]string{name: name})
	}
	s := New(Options{Path: dir, Recursive: true})
	people := sourcetest.List(t, s)
	if len(people) != len(want) {
		t.Errorf("listed %v", people)
	}
	for _, p := range people {
		ph := sourcetest.Read(t, s, p.Ref)
		if ph.Err != nil || p.Ref.Name != want[string(ph.Data)] {
			t.Errorf("%q is shown as %s, want %s; error %v", ph.Data, p.Ref.Name, want[string(ph.Data)], ph.Err)
		}
		if facts, err := s.Describe(t.Context(), p.Ref); err != nil || len(facts) < 3 || strings.ContainsAny(facts[0].Value, "\n\x1b\ufffd") {
			t.Errorf("%q is described as %v, error %v", ph.Data, facts, err)
		}
	}
}

func FuzzRef(f *testing.F) {
	for _, s := range []string{"ann@example.com.jpg", "a\n.jpg", "\xff.jpg", `"a\n.jpg`, `\xff.jpg`, "\ufffd", "\u00a0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		r := refOf(name)
		if nameOf(r) != name && name != "" || !isText(r.Name) {
			t.Errorf("%q has the reference %+v", name, r)
		}
		if back, err := strconv.Unquote(r.Name); r.Mark != "" && (err != nil || back != name) {
			t.Errorf("%q is shown as %s: %v", name, r.Name, err)
		}
	})
}

// A call to a share whose server is away comes back when it likes: a run that is
// stopped, or out of time, does not wait for it.
func TestShareThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan struct{})
		ctx, cancel := context.WithCancelCause(t.Context())
		over := errors.New("the time is over")
		time.AfterFunc(time.Minute, func() { cancel(over) })
		start, n := time.Now(), 0
		c := delivery[int]{each: func(int) error { n++; return nil }}
		err := c.wait(ctx, func() error {
			err := c.give(ctx, 1)
			<-answers
			for i := range 10 { // nobody takes them any more
				err = errors.Join(err, c.give(ctx, i))
			}
			return err
		})
		if took := time.Since(start); !errors.Is(err, over) || n != 1 || took > time.Minute+endTimeout {
			t.Errorf("returned after %v with error %v and %d found", took, err, n)
		}
		close(answers) // whoever was left behind ends, or this test does not
	})
}

func TestTwoFilesForOnePersonAreBothListed(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"ann@example.com.jpg", "Ann@example.com.png"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	people, _, err := sources.Join(t.Context(), []sources.Named{{Name: "f", Source: New(Options{Path: dir})}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for j := range people.All() {
		if n++; n > 1 || !j.Ambiguous || len(j.Candidates) != 2 {
			t.Errorf("joined %+v; want one ambiguous person with both files", j)
		}
	}
	if n != 1 {
		t.Errorf("%d people", n)
	}
}

// statOf returns the facts of a file.
func statOf(t *testing.T, name string) facts {
	t.Helper()
	f, err := factsOf(os.Lstat(name))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestStampSeesWhatSetsTheTimeBack(t *testing.T) {
	f := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(f, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := statOf(t, f)
	for {
		if err := errors.Join(os.WriteFile(f, []byte("two"), 0o600), os.Chtimes(f, time.Time{}, time.Unix(0, before.modified))); err != nil {
			t.Fatal(err)
		}
		after := statOf(t, f)
		if after.changed == before.changed {
			continue // the file system's clock has not ticked yet
		}
		if a, b := before.stamp("a"), after.stamp("a"); a == b {
			t.Errorf("stamp %q stays after a change with the time set back", a)
		}
		return
	}
}

func TestStampMovesWithEveryFact(t *testing.T) {
	f := facts{0, 1, 2, 3, 4}
	seen := map[string]bool{f.stamp("a"): true, f.stamp("b"): true, f.stamp(""): true}
	for _, g := range []facts{{0, 9, 2, 3, 4}, {0, 1, 9, 3, 4}, {0, 1, 2, 9, 4}, {0, 1, 2, 3, 9}, {0, 2, 1, 3, 4}, {0, -1, 2, 3, 4}} {
		seen[g.stamp("a")] = true
	}
	if len(seen) != 9 {
		t.Errorf("9 files have %d stamps", len(seen))
	}
	if f.stamp("a") != "I2fZn6g-EwB1ZuM8" {
		t.Errorf("stamp is %q: if it changes, every photo is read again", f.stamp("a"))
	}
}

// Whatever is done to a file and when, also while a run reads it: as long as its
// mark is the one that was remembered, so are its bytes. The file system's clock may
// be as coarse as any, and all files are of one size.
func TestNoSequenceOfEditsIsMissed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tick := rapid.SampledFrom([]int64{1, 4e6, 1e9, int64(clockGranularity)}).Draw(t, "tick")
		now := int64(1e18)
		f, bytes := facts{size: 5, inode: 1}, 0
		edit := func() {
			now += rapid.Int64Range(0, 3e9).Draw(t, "wait")
			if !rapid.Bool().Draw(t, "edit") {
				return
			}
			bytes++
			f.changed = now / tick * tick
			f.modified = rapid.SampledFrom([]int64{f.modified, f.changed, 1, 2e18}).Draw(t, "time that is set")
			f.inode = rapid.Uint64Range(1, 2).Draw(t, "inode")
		}
		edit()
		stamp, seen := "", 0
		for range 20 {
			edit()
			if mark := f.stampIfOld("a", time.Unix(0, now), 0); mark == "" || mark != stamp {
				edit() // between listing and reading
				stamp, seen = mark, bytes
			} else if seen != bytes {
				t.Fatalf("bytes %d were missed: those of the mark %q are %d", bytes, mark, seen)
			}
		}
	})
}

func FuzzEmailOf(f *testing.F) {
	for _, s := range []string{"a@example.com", "a%40example.com", "a%@example.com", "%zz", "a%2540b", "a%40b%40c", "%00@x", "\xff%40x", "..%2f@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		email, err := emailOf(name)
		if err != nil {
			return
		}
		if again, err := sources.Email(email); err != nil || again != email {
			t.Errorf("emailOf(%q) = %q, which is not canonical: %q, %v", name, email, again, err)
		}
		if direct, err := sources.Email(name); err == nil && direct != email {
			t.Errorf("emailOf(%q) = %q, but the name is the address %q", name, email, direct)
		}
	})
}

func TestAge(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		f    facts
		want time.Duration
	}{
		"old":                       {facts{modified: now.Add(-time.Hour).UnixNano(), changed: now.Add(-time.Hour).UnixNano()}, time.Hour},
		"copied with its time":      {facts{modified: now.Add(-time.Hour).UnixNano(), changed: now.UnixNano()}, 0},
		"dated in the future":       {facts{modified: now.Add(time.Hour).UnixNano(), changed: now.Add(-time.Minute).UnixNano()}, time.Minute},
		"without a time of changes": {facts{modified: now.Add(-time.Minute).UnixNano()}, time.Minute},
		"while it is written, on a server whose clock is ahead": {facts{changed: now.Add(time.Minute).UnixNano()}, -time.Minute},
		"changed before the clock was set back":                 {facts{changed: now.Add(48 * time.Hour).UnixNano()}, 48 * time.Hour},
	} {
		if got := c.f.age(now); got != c.want {
			t.Errorf("%s: %v old, want %v", name, got, c.want)
		}
	}
}

// A file so young that a further change might not show, or that min_age has wait,
// has no stamp: it is read.
func TestYoungFilesAreDistrusted(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"a@example.com.jpg": "a"})
	f := statOf(t, filepath.Join(dir, "a@example.com.jpg"))
	written := time.Unix(0, max(f.changed, f.modified))
	for _, c := range []struct {
		age, minAge time.Duration
		want        bool
	}{
		{0, 0, false}, {time.Second, 0, false}, {-time.Hour, 0, false}, {3 * time.Second, 0, true}, {time.Hour, 0, true},
		{time.Hour, 2 * time.Hour, false}, {3 * time.Hour, 2 * time.Hour, true},
	} {
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		top, err := root.Open(".")
		if err != nil {
			t.Fatal(err)
		}
		defer top.Close()
		w := lister{s: New(Options{Path: dir, MinAge: c.minAge}), root: root}
		f := file{name: "a@example.com.jpg", base: "a@example.com.jpg"}
		if err := w.stat(top, &f); err != nil {
			t.Fatal(err)
		}
		p, why := w.person(&f, written.Add(c.age))
		if got := p.Stamp != ""; got != c.want || why != "" {
			t.Errorf("a file %v old has a stamp: %v, want %v; ignored as %q", c.age, got, c.want, why)
		}
	}
}

// A file younger than min_age is listed, so that nobody takes it for gone, and
// not read.
func TestMinAge(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"a@example.com.jpg": "half a pict"})
	s := New(Options{Path: dir, MinAge: time.Hour})
	p := sourcetest.List(t, s)["a@example.com"]
	if p.HasPhoto != sources.Present || p.Stamp != "" {
		t.Errorf("listed as %+v", p)
	}
	if ph := sourcetest.Read(t, s, p.Ref); !errors.Is(ph.Err, sources.ErrUnstable) || ph.Data != nil || !strings.Contains(ph.Err.Error(), "min_age is 1h0m0s") {
		t.Errorf("read %q, error %v", ph.Data, ph.Err)
	}
	if ph := sourcetest.Read(t, New(Options{Path: dir}), p.Ref); ph.Err != nil {
		t.Errorf("without min_age: error %v", ph.Err)
	}
}

// put writes files into dir, with the folders they need.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// Many folders and folders of many files: everyone is found once.
func TestWalkFindsEveryone(t *testing.T) {
	dir := t.TempDir()
	files, want := map[string]string{}, 0
	for i := range 1500 {
		files[fmt.Sprintf("flat/person%04d@example.com.jpg", i)] = ""
		want++
	}
	for i := range 120 {
		files[fmt.Sprintf("%d/%d/deep/%d@example.org.jpg", i%7, i%11, i)] = ""
		want++
	}
	put(t, dir, files)
	for range 3 {
		if got := len(sourcetest.List(t, New(Options{Path: dir, Recursive: true}))); got != want {
			t.Fatalf("listed %d people, want %d", got, want)
		}
	}
}

// Whatever wrote the name, the person is the same.
func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"J\u00fcrgen@example.com": "j\u00fcrgen@example.com", "Ju\u0308rgen@example.com": "j\u00fcrgen@example.com",
		"ANN.LEE@EXAMPLE.COM": "ann.lee@example.com", "ann%40example.com": "ann@example.com", "ann+hr@example.com": "ann+hr@example.com",
		"ann%2Bhr%40example.com": "ann+hr@example.com", "50%@example.com": "50%@example.com",
	} {
		for _, ext := range []string{".jpg", ".JPEG", ".Png", ".gif", ".webp", ".BMP", ".tif", ".TIFF"} {
			dir := t.TempDir()
			put(t, dir, map[string]string{name + ext: ""})
			people := sourcetest.List(t, New(Options{Path: dir}))
			if _, ok := people[want]; len(people) != 1 || !ok {
				t.Errorf("%q is listed as %v, want %q", name+ext, people, want)
			}
		}
	}
}
