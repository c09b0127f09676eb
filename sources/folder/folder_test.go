//go:build unix

package folder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

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

// Settle waits for the file system's own clock: a change time cannot be set.
func (p place) Settle()                { time.Sleep(clockGranularity + 50*time.Millisecond) }
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
	}
	for _, f := range append(files, outside) {
		if !filepath.IsAbs(f) {
			f = filepath.Join(dir, f)
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(f), 0o700), os.WriteFile(f, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link@example.com.jpg": "cy@example.com.png", "out@example.com.jpg": outside, "dangling@example.com.jpg": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	makeFIFO(t, filepath.Join(dir, "fifo@example.com.jpg"))
	for _, c := range []struct {
		recursive bool
		want      []string
	}{
		{false, []string{"ann.lee@example.com", "bob+x@example.com", "cy@example.com", "di@example.com", "fe@example.com", "link@example.com"}},
		{true, []string{"ann.lee@example.com", "bob+x@example.com", "cy@example.com", "di@example.com", "ed@example.com", "fe@example.com", "link@example.com"}},
	} {
		var got []string
		l, err := New(Options{Path: dir, Recursive: c.recursive}).List(t.Context(), func(p sources.Person) error {
			got = append(got, p.Emails[0])
			return nil
		})
		slices.Sort(got)
		if err != nil || !l.Complete || !slices.Equal(got, c.want) {
			t.Errorf("recursive %v: complete %v, error %v, people %q, want %q", c.recursive, l.Complete, err, got, c.want)
		}
		w := strings.Join(l.Warnings, "\n")
		for _, want := range []string{
			`1 ignored: the name is not an email address (first: "no-email.jpg")`, `1 ignored: not named .jpg, .jpeg, .png or .gif (first: "Readme.txt")`,
			"ignored: hidden", "1 ignored: not a regular file", "2 ignored: a link that leads out",
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

func TestTwoFilesForOnePersonAreBothListed(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"ann@example.com.jpg", "Ann@example.com.png"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	people, _, err := sources.Join(t.Context(), []sources.Named{{Name: "f", Source: New(Options{Path: dir})}})
	if err != nil || len(people) != 1 || !people[0].Ambiguous || len(people[0].Candidates) != 2 {
		t.Errorf("Join: %+v, error %v; want one ambiguous person with both files", people, err)
	}
}

func TestStampSeesWhatSetsTheTimeBack(t *testing.T) {
	f := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(f, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(f)
	if err != nil {
		t.Fatal(err)
	}
	was, _ := changeTime(before)
	for {
		if err := errors.Join(os.WriteFile(f, []byte("two"), 0o600), os.Chtimes(f, time.Time{}, before.ModTime())); err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if is, _ := changeTime(after); is.Equal(was) {
			continue // the file system's clock has not ticked yet
		}
		later := time.Now().Add(time.Hour)
		if a, b := stamp(before, later), stamp(after, later); a == b {
			t.Errorf("stamp %q stays after a change with the time set back", a)
		}
		return
	}
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

func TestYoungFilesAreDistrusted(t *testing.T) {
	f := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(f, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(f)
	if err != nil {
		t.Fatal(err)
	}
	for age, want := range map[time.Duration]bool{0: false, time.Second: false, -time.Hour: false, 3 * time.Second: true, time.Hour: true} {
		if got := stamp(fi, fi.ModTime().Add(age)) != ""; got != want {
			t.Errorf("a file %v old has a stamp: %v, want %v", age, got, want)
		}
	}
}
