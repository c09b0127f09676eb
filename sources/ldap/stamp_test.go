package ldap

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"photosync/sources"
)

// record says which change an attribute's value is of.
type record struct {
	version    uint32
	invocation [16]byte
	usn        uint64
}

// metaData is a replPropertyMetaData with these records.
func metaData(records map[uint32]record) string {
	le := binary.LittleEndian
	b := le.AppendUint64(le.AppendUint64(nil, 1), uint64(len(records)))
	for id, r := range records {
		b = le.AppendUint32(le.AppendUint32(b, id), r.version)
		b = append(le.AppendUint64(b, 13_400_000_000), r.invocation[:]...)
		b = le.AppendUint64(le.AppendUint64(b, r.usn), r.usn+7)
	}
	return string(b)
}

const (
	thumbnail = 0x00160023
	jpeg      = 0x0015003c
	phone     = 0x00000014
)

func TestMarks(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	dc1, dc2 := server{ad: true, dc: "dc1"}, server{ad: true, dc: "dc2"}
	photos := Options{PhotoAttributes: []string{"thumbnailPhoto", "jpegPhoto"}}
	set := metaData(map[uint32]record{thumbnail: {3, [16]byte{1}, 4711}, phone: {9, [16]byte{2}, 5}})
	for name, c := range map[string]struct {
		o     Options
		srv   server
		pairs []string
		want  string // what the mark begins with, after the choice of attributes
		has   sources.Presence
	}{
		"entryCSN first":        {photos, server{}, []string{"entryCSN", "x#1", "modifyTimestamp", "20261124110000Z"}, "csn=x#1", sources.Unknown},
		"old timestamp":         {photos, server{}, []string{"modifyTimestamp", "20261124110000.0Z"}, "time=20261124110000.0Z", sources.Unknown},
		"too young":             {photos, server{}, []string{"modifyTimestamp", "20261124115959Z"}, "", sources.Unknown},
		"old, with an offset":   {photos, server{}, []string{"modifyTimestamp", "20261124110000+0100"}, "time=20261124110000+0100", sources.Unknown},
		"young, with an offset": {photos, server{}, []string{"modifyTimestamp", "20261124125959+0100"}, "", sources.Unknown},
		"from ahead":            {photos, server{}, []string{"modifyTimestamp", "20261124120100Z"}, "", sources.Unknown},
		"nonsense":              {photos, server{}, []string{"modifyTimestamp", "yesterday"}, "", sources.Unknown},
		"nothing":               {photos, server{}, nil, "", sources.Unknown},
		"content":               {Options{ChangeDetection: "content"}, server{}, []string{"entryCSN", "x#1"}, "", sources.Unknown},
		"the photo's record":    {photos, dc1, []string{"uSNChanged", "900", "replPropertyMetaData", set}, "repl=1267.3,#01000000000000000000000000000000,", sources.Unknown},
		"set once":              {photos, dc1, []string{"replPropertyMetaData", metaData(map[uint32]record{thumbnail: {2, [16]byte{1}, 5}, jpeg: {1, [16]byte{1}, 7}})}, "repl=5.2,7.1#01000000000000000000000000000000,01000000000000000000000000000000", sources.Present},
		"no photo's record":     {photos, dc1, []string{"replPropertyMetaData", metaData(map[uint32]record{phone: {1, [16]byte{}, 1}})}, "repl=,#,", sources.Absent},
		"record hidden":         {photos, dc1, []string{"uSNChanged", "900"}, "usn=dc1:900", sources.Unknown},
		"record damaged":        {photos, dc2, []string{"uSNChanged", "900", "replPropertyMetaData", set[:60]}, "usn=dc2:900", sources.Unknown},
		"attribute unknown":     {Options{PhotoAttributes: []string{"badgePhoto"}}, dc1, []string{"uSNChanged", "900", "replPropertyMetaData", set}, "usn=dc1:900", sources.Unknown},
		"which controller?":     {photos, server{ad: true}, []string{"uSNChanged", "900"}, "", sources.Unknown},
		"never whenChanged":     {photos, server{ad: true}, []string{"whenChanged", "20261124110000.0Z", "modifyTimestamp", "20261124110000.0Z"}, "", sources.Unknown},
	} {
		m := newStamps(c.o)
		got, has := m.of(made("cn=x", c.pairs...), c.srv, now)
		if want := m.choice + "/" + c.want; got != want && (got != "" || c.want != "") || has != c.has {
			t.Errorf("%s: %q, %v; want %q, %v", name, got, has, want, c.has)
		}
	}
}

// Another choice of attributes gives another photo, and so another mark.
func TestMarksKnowTheChoice(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range []Options{
		{PhotoAttributes: []string{"a", "b"}}, {PhotoAttributes: []string{"b", "a"}}, {PhotoAttributes: []string{"a"}},
		{PhotoAttributes: []string{"a", "b"}, PhotoChoice: "largest"},
	} {
		mark, _ := newStamps(o).of(made("cn=x", "entryCSN", "1"), server{}, time.Now())
		if seen[mark] {
			t.Errorf("%v has the mark %q of another choice", o, mark)
		}
		seen[mark] = true
	}
}

// A directory of one person on two domain controllers that replicate now and then:
// whatever happens, an unchanged mark means an unchanged photo.
func TestNoEditIsMissed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		metaDataReadable := rapid.Bool().Draw(t, "may read replPropertyMetaData")
		m := newStamps(Options{PhotoAttributes: []string{"thumbnailPhoto", "jpegPhoto"}})
		type photo struct {
			value string
			rec   record
		}
		type replica struct {
			usn    uint64 // counts changes on this controller
			at     uint64 // usn of the person's last change here
			life   byte   // invocation id
			photos map[uint32]photo
		}
		dcs := []*replica{{life: 1, usn: 500, photos: map[uint32]photo{}}, {life: 2, usn: 90, photos: map[uint32]photo{}}}
		remembered := map[string]string{} // what was read under a mark
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			dc := dcs[rapid.IntRange(0, 1).Draw(t, "dc")]
			id := rapid.SampledFrom([]uint32{thumbnail, jpeg}).Draw(t, "attribute")
			switch rapid.SampledFrom([]string{"set", "remove", "phone", "replicate", "list", "list", "restore"}).Draw(t, "what") {
			case "set", "remove":
				dc.usn++
				p := dc.photos[id]
				p.value, p.rec = fmt.Sprint("v", step), record{p.rec.version + 1, [16]byte{dc.life}, dc.usn}
				if rapid.Bool().Draw(t, "empty") && p.rec.version > 1 { // there must be something to remove
					p.value = ""
				}
				dc.photos[id], dc.at = p, dc.usn
			case "phone":
				dc.usn++
				dc.at = dc.usn
			case "replicate": // the higher version wins, then the later change
				for id, p := range dcs[0].photos {
					q := dcs[1].photos[id]
					if p.rec.version > q.rec.version {
						dcs[1].usn++
						dcs[1].photos[id], dcs[1].at = p, dcs[1].usn
					}
				}
			case "restore": // from a backup, which gives the database another life
				dc.life += 10
				dc.usn++
			case "list":
				records, content := map[uint32]record{phone: {1, [16]byte{9}, 9}}, ""
				for _, id := range []uint32{thumbnail, jpeg} {
					if p, ok := dc.photos[id]; ok {
						records[id] = p.rec
						content += p.value + "/"
					}
				}
				pairs := []string{"uSNChanged", fmt.Sprint(dc.at)}
				if metaDataReadable {
					pairs = append(pairs, "replPropertyMetaData", metaData(records))
				}
				mark, has := m.of(made("cn=x", pairs...), server{ad: true, dc: fmt.Sprint("dc", dc.life)}, time.Now())
				if before, known := remembered[mark]; known && before != content || mark == "" {
					t.Fatalf("mark %q stands for %q and %q", mark, before, content)
				}
				if has == sources.Absent && strings.Trim(content, "/") != "" || has == sources.Present && strings.Trim(content, "/") == "" {
					t.Fatalf("of %q it is said that there is a photo: %v", content, has)
				}
				remembered[mark] = content
			}
		}
	})
}

func FuzzMetaData(f *testing.F) {
	f.Add([]byte(metaData(map[uint32]record{thumbnail: {3, [16]byte{1}, 4711}, phone: {9, [16]byte{2}, 5}})))
	f.Add([]byte(metaData(nil)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		mark, has := recordStamp([][]byte{b}, []uint32{thumbnail, jpeg})
		if mark != "" && (strings.Count(mark, ",") != 2 || len(b)%48 != 16) || mark == "" && has != sources.Unknown {
			t.Errorf("%q, %v of %d bytes", mark, has, len(b))
		}
	})
}
