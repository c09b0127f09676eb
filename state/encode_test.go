package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9a-f]{31,66}`), rapid.StringMatching(`[0-9A-Fa-f]{64}`),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
}

func anyTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		at := time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		return at.In(time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(t, "zone")))
	})
}

func anyRecord() *rapid.Generator[Record] {
	return rapid.Custom(func(t *rapid.T) Record {
		text := func(name string) string { return anyText().Draw(t, name) }
		r := Record{
			Email: rapid.StringMatching(`[a-z]{1,3}@b\.c`).Draw(t, "email"), UserID: rapid.Int64().Draw(t, "id"),
			Source: text("source"), Ref: text("ref"), Stamp: text("stamp"), SourceSHA256: text("source hash"),
			Rendering: text("rendering"), UploadSHA256: text("upload hash"), ImageID: text("image"), RunID: text("run"),
			UploadedAt: anyTime().Draw(t, "uploaded"),
			Missing:    rapid.Int().Draw(t, "missing"), Placeholder: rapid.Bool().Draw(t, "placeholder"),
			Adopted: rapid.Bool().Draw(t, "adopted"),
		}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			r.UploadSHA256 = r.SourceSHA256
		case 1:
			r.Ref = text("folder") + r.Email + text("ending")
		}
		if rapid.Bool().Draw(t, "failed") {
			r.Failure = &Failure{
				Code: text("code"), RefID: text("refId"), Status: rapid.Int().Draw(t, "status"), Message: text("message"), Hash: text("hash"),
				Final: rapid.Bool().Draw(t, "final"), Count: rapid.Int().Draw(t, "count"), At: anyTime().Draw(t, "at"), RunID: text("failed run"),
			}
		}
		return r
	})
}

func read(table []string, email string, data []byte) (Record, error) {
	v := Snapshot{s: &Store{}, table: table}
	r, err := v.record(email, data)
	e := Entry{v: &v}
	if err == nil {
		err = e.read(email, string(data))
	}
	if want := (Entry{
		Email: email, Source: r.Source, Rendering: r.Rendering, Ref: r.Ref, Stamp: r.Stamp,
		Photo: r.SourceSHA256 != "", Sum: Sum(r.SourceSHA256), Uploaded: r.UploadSHA256 != "",
		Noted: r.Failure != nil || r.Missing != 0 || r.Placeholder, v: &v, data: string(data),
	}); err == nil && e != want {
		err = fmt.Errorf("the entry is %+v, want %+v", e, want)
	}
	return r, err
}

func TestRecordComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyRecord().Draw(t, "record")
		var table texts
		data := table.encode(&want)
		got, err := read(table.all, want.Email, data)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		if _, err := read(table.all, want.Email+"x", data); err == nil {
			t.Fatal("one person's record passed for another's")
		}
		data[rapid.IntRange(0, len(data)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if r, err := read(table.all, want.Email, data); err == nil {
			t.Fatalf("a flipped bit went unnoticed: %+v", r)
		}
	})
}

// The checksum must not hide what the decoder does with fields that lie.
func FuzzDecode(f *testing.F) {
	table := texts{}
	for _, r := range []Record{{}, {Email: "a@b.c", Ref: "x/a@b.c.jpg", Missing: 3, Placeholder: true, Failure: &Failure{Code: "1"}}, sample(7)} {
		data := table.encode(&r)
		f.Add(r.Email, data[:len(data)-4])
	}
	f.Fuzz(func(t *testing.T, email string, data []byte) {
		sum := checksum([]byte(email), data)
		r, err := read(table.all, email, append(data, byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)))
		if err != nil {
			return
		}
		again := texts{}
		data = again.encode(&r)
		if r2, err := read(again.all, email, data); err != nil || !cmp.Equal(r, r2) {
			t.Fatalf("read %+v, then %+v, %v", r, r2, err)
		}
	})
}
