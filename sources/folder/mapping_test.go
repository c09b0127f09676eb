//go:build unix

package folder

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"photosync/sources"
	"photosync/sources/sourcetest"
)

func TestParseMapping(t *testing.T) {
	one := map[string]string{"e1": "ann@example.com"}
	two := map[string]string{"e1": "ann@example.com", "e2.jpg": "bob@example.com"}
	for name, c := range map[string]struct {
		in   string
		want map[string]string
	}{
		"plain":            {"E1,Ann@Example.com\nE2.JPG,bob@example.com\n", two},
		"no end of line":   {"E1,ann@example.com\nE2.jpg,bob@example.com", two},
		"header":           {"Employee number,E-Mail\nE1,ann@example.com\n", one},
		"header, umlaut":   {"Schlüssel,Elektronische Postadresse\nE1,ann@example.com\n", one},
		"byte order mark":  {"\ufeffE1,ann@example.com\n", one},
		"mark and header":  {"\ufeffkey,email\r\nE1,ann@example.com\r\n", one},
		"windows":          {"E1,ann@example.com\r\nE2.jpg,bob@example.com\r\n", two},
		"quotes":           {"\"E1\",\"ann@example.com\"\n\"E2.jpg\",bob@example.com\n", two},
		"comma in a key":   {"\"Lee, Ann\",ann@example.com\n", map[string]string{"lee, ann": "ann@example.com"}},
		"semicolons":       {"E1;ann@example.com\nE2.jpg;bob@example.com\n", two},
		"tabs":             {"E1\tann@example.com\nE2.jpg\tbob@example.com\n", two},
		"spaces":           {" E1 , ann@example.com \n", one},
		"empty lines":      {"\n\nE1,ann@example.com\n\n", one},
		"no address":       {"E1,ann@example.com\nE5,\nE6, \n", map[string]string{"e1": "ann@example.com"}},
		"two of a name":    {"E1,ann@example.com\nE1.b,bob@example.com\n", map[string]string{"e1": "ann@example.com", "e1.b": "bob@example.com"}},
		"two for a person": {"E1,ann@example.com\nE2.jpg,ann@example.com\n", map[string]string{"e1": "ann@example.com", "e2.jpg": "ann@example.com"}},
	} {
		m, err := parseMapping([]byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := map[string]string{}
		for key, l := range m {
			got[key] = l.email
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestMappingFaults(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want string // the whole error
	}{
		"empty":           {"", `line 1: the file names nobody`},
		"only a header":   {"key,email\n", `line 1: the file names nobody`},
		"no header again": {"E1,ann@example.com\nkey,email\n", `line 2: email "email": write the whole address, with one @`},
		"not a header":    {"E1,ann.example.com\n", `line 1: email "ann.example.com": write the whole address, with one @`},
		"columns":         {"E1,ann@example.com,Ann\nE2\n", `line 1: want 2 columns, not 3; line 2: want 2 columns, not 1`},
		"no key":          {",ann@example.com\n", `line 1: no file name or key before the email`},
		"path":            {"2024/E1.jpg,ann@example.com\n2024\\E2.jpg,bob@example.com\n", `line 1: "2024/E1.jpg" is a path: write the file's name alone; line 2: "2024\\E2.jpg" is a path: write the file's name alone`},
		"twice":           {"E1,ann@example.com\nE2,bob@example.com\ne1,cy@example.com\n", `line 3: "e1" stands on line 1 already`},
		"twice the same":  {"E1,ann@example.com\nE1,ann@example.com\n", `line 2: "e1" stands on line 1 already`},
		"twice, a suffix": {"E2,bob@example.com\nE1.PNG,ann@example.com\ne1,cy@example.com\n", `line 3: "e1.png" names the same file as line 2`},
		"latin 1":         {"J\xfcrgen,j@example.com\n", `line 1: not UTF-8: save the file as CSV in UTF-8`},
		"utf-16":          {"\xff\xfeE\x001\x00", `line 1: the file is in UTF-16: save it as CSV in UTF-8`},
		"zero":            {"E\x001,ann@example.com\n", `line 1: "E\x001" holds a control character`},
		"quote":           {"E1,\"ann@example.com\nE2,bob@example.com\n", `line 2: extraneous or missing " in quoted-field`},
		"all at once, in order": {
			"E1,ann@example.com\nE1,bob@example.com\n\"a\"b,cy@example.com\n\nE3,nobody\n\"E4\nx\",di@example.com\n",
			`line 2: "e1" stands on line 1 already; line 3: extraneous or missing " in quoted-field; line 5: email "nobody": write the whole address, with one @; line 6: "E4\nx" holds a control character`,
		},
		"many": {strings.Repeat("x\n", 30), "line 1: " + strings.Repeat("want 2 columns, not 1; ", 1)},
	} {
		m, e := parseMapping([]byte(c.in))
		if m != nil || e == nil || e.Hint() == "" {
			t.Errorf("%s: mapping %v, error %v", name, m, e)
			continue
		}
		if name == "many" {
			if len(e.Faults) != 20 || e.More != 10 || !strings.HasSuffix(e.Error(), "; and 10 more") {
				t.Errorf("30 faults: %v", e)
			}
			continue
		}
		if got := strings.TrimPrefix(e.Error(), `read mapping file "": `); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestMappingFile(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "badges.csv")
	put(t, dir, map[string]string{
		"E1.jpg": "ann", "sub/e2.PNG": "bob", "J\u00fcrgen.gif": "j", "E4.jpg": "4", "di@example.com.jpg": "di", "readme.txt": "",
		"badges.csv": "key,email\nE1,ann@example.com\ne2.png,bob@example.com\nJu\u0308rgen,j@example.com\nE9,nobody@example.com\nE7,none@example.com\n",
	})
	inside, err := os.ReadFile(filepath.Join(dir, "badges.csv"))
	if err := errors.Join(err, os.WriteFile(outside, inside, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"badges.csv", outside} {
		s := New(Options{Path: dir, Recursive: true, MappingFile: file})
		refs := map[string]string{}
		l, err := s.List(t.Context(), func(p sources.Person) error { refs[p.Own[0]] = p.Ref.Name; return nil })
		if want := map[string]string{"ann@example.com": "E1.jpg", "bob@example.com": "sub/e2.PNG", "j@example.com": "J\u00fcrgen.gif"}; err != nil || !maps.Equal(refs, want) {
			t.Errorf("listed %v, error %v; want %v", refs, err, want)
		}
		other := `1 ignored: not named .jpg, .png, .gif, .webp, .bmp or .tif (first: "readme.txt")`
		if file == outside {
			other = `2 ignored: not named .jpg, .png, .gif, .webp, .bmp or .tif (first: "badges.csv")`
		}
		want := []string{`2 ignored: not in the mapping file (first: "E4.jpg")`, other, `2 in the mapping file without a file here (first: line 5, "e9")`}
		if !slices.Equal(l.Warnings, want) {
			t.Errorf("warnings %q, want %q", l.Warnings, want)
		}
	}
}

// When a key goes to another person, that person's mark is not the one that the
// state has, whatever it is.
func TestMappingChangeMovesMarks(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"E1.jpg": "a picture", "E2.jpg": "a picture", "m.csv": "E1,ann@example.com\nE2,bob@example.com\n"})
	place{t, dir}.Age()
	s := New(Options{Path: dir, MappingFile: "m.csv"})
	before := sourcetest.List(t, s)
	put(t, dir, map[string]string{"m.csv": "E2,ann@example.com\nE1,bob@example.com\n"})
	for email, p := range sourcetest.List(t, s) {
		if was := before[email]; p.Stamp == "" || p.Stamp == was.Stamp || p.Ref == was.Ref {
			t.Errorf("%s: %v %q after the change, %v %q before", email, p.Ref, p.Stamp, was.Ref, was.Stamp)
		}
	}
}

// Whose a photo is may change between the listing and the reading: nothing is read then.
func TestMappingChangesMeanwhile(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "m.csv")
	put(t, dir, map[string]string{"E1.jpg": "1"})
	for _, file := range []string{"m.csv", outside} {
		at := dir
		if file == outside {
			at = filepath.Dir(outside)
		}
		put(t, at, map[string]string{"m.csv": "E1,ann@example.com\n"})
		s := New(Options{Path: dir, MappingFile: file})
		for range 2 {
			ref := sourcetest.List(t, s)["ann@example.com"].Ref
			if ph := sourcetest.Read(t, s, ref); ph.Err != nil {
				t.Errorf("%s as it was listed: %v", file, ph.Err)
			}
			put(t, at, map[string]string{"m.csv": "E1,new@example.com\n"})
			if ph := sourcetest.Read(t, s, ref); !errors.Is(ph.Err, sources.ErrUnstable) || ph.Data != nil {
				t.Errorf("%s changed: %q, %v", file, ph.Data, ph.Err)
			}
			if err := os.Remove(filepath.Join(at, "m.csv")); err != nil {
				t.Fatal(err)
			}
			if ph := sourcetest.Read(t, s, ref); !errors.Is(ph.Err, sources.ErrUnstable) || ph.Data != nil {
				t.Errorf("%s removed: %q, %v", file, ph.Data, ph.Err)
			}
			put(t, at, map[string]string{"m.csv": "E1,ann@example.com\n"})
		}
	}
}

// Without its mapping file a folder cannot be listed; a part of it is not the
// whole.
func TestMappingFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"E1.jpg": "a", "bad.csv": "E1\n", "folder/x": ""})
	makeFIFO(t, filepath.Join(dir, "fifo.csv"))
	for file, want := range map[string]string{
		"none.csv": "no such file", "bad.csv": "line 1: want 2 columns, not 1", "folder": "not a regular file", "fifo.csv": "not a regular file",
	} {
		n := 0
		l, err := New(Options{Path: dir, MappingFile: file}).List(t.Context(), func(sources.Person) error { n++; return nil })
		e, ok := errors.AsType[*MappingError](err)
		if !ok || n > 0 || l.Complete || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) || e.Hint() == "" {
			t.Errorf("%s: %d people, complete %v, error %v", file, n, l.Complete, err)
		}
	}
}

// Whoever may write into the folder does not have photosync read, and quote, another
// file; an absolute path is what the administrator wrote.
func TestMappingFileThatIsALink(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside.csv")
	put(t, dir, map[string]string{"E1.jpg": "a", "real.csv": "E1,ann@example.com\n"})
	put(t, filepath.Dir(outside), map[string]string{"outside.csv": "user,secret\nE1,ann@example.com\n"})
	for link, to := range map[string]string{"in.csv": "real.csv", "out.csv": outside} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if people := sourcetest.List(t, New(Options{Path: dir, MappingFile: "in.csv"})); len(people) != 1 {
		t.Errorf("through a link inside: %v", people)
	}
	for _, file := range []string{"out.csv", filepath.Join("..", filepath.Base(filepath.Dir(outside)), "outside.csv")} {
		_, err := New(Options{Path: dir, MappingFile: file}).List(t.Context(), func(sources.Person) error { return nil })
		if e, ok := errors.AsType[*MappingError](err); !ok || !strings.Contains(err.Error(), "escapes") || strings.Contains(err.Error(), "secret") || e.Hint() == "" {
			t.Errorf("%s: error %v", file, err)
		}
	}
	abs := filepath.Join(dir, "abs.csv")
	if err := os.Symlink(filepath.Join(dir, "real.csv"), abs); err != nil {
		t.Fatal(err)
	}
	if people := sourcetest.List(t, New(Options{Path: dir, MappingFile: abs})); len(people) != 1 {
		t.Errorf("by an absolute path: %v", people)
	}
}

// A mapping of a million employees takes little memory.
func TestMappingIsCompact(t *testing.T) {
	const n = 10_000
	var in strings.Builder
	for i := range n {
		fmt.Fprintf(&in, "E%07d,person%07d@example.com\n", i*7919%n, i)
	}
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	text := []byte(in.String())
	before := live()
	m, err := parseMapping(text)
	if err != nil {
		t.Fatal(err)
	}
	if size := live() - before; size > 160*n {
		t.Errorf("%d people take %d bytes", n, size)
	} else {
		t.Logf("%d bytes each", size/n)
	}
	for i := range n {
		key := fmt.Sprintf("E%07d", i*7919%n)
		if _, l := m.find(key + ".jpg"); l == nil || l.email != fmt.Sprintf("person%07d@example.com", i) {
			t.Fatalf("%s is %+v", key, l)
		}
	}
}

func FuzzMapping(f *testing.F) {
	for _, s := range []string{
		"E1,ann@example.com\nE2;bob@example.com\n", "\ufeffkey;email\r\n\"E;1\";a@b\r\n", "\"a", "\xff\xfe", "a,b@c\na,d@e\n", "x\ty@z", ",\n", "\"\"\",a@b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		m, err := parseMapping([]byte(in))
		if err != nil {
			if len(err.Faults) == 0 {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		for key := range m {
			_, l := m.find(key)
			if l == nil {
				t.Fatalf("%q: key %q is not found", in, key)
			}
			if c, err := sources.Email(l.email); err != nil || c != l.email {
				t.Fatalf("%q: key %q is %q, %v", in, key, l.email, err)
			}
		}
	})
}
