package state

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"time"
)

// recordVersion is the first byte of every stored record. A change of the fields
// takes a new one, so that records of both kinds can live in one file.
const recordVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errRecord = errors.New("a record does not add up")

// encode returns a record as it is stored: the version, the fields in order, and
// a checksum that covers the email too, so that a damaged page can never pass
// for what is remembered of someone. JSON would take four times as long to read,
// and the nightly run reads everyone.
func encode(r *Record) []byte {
	b := append(make([]byte, 0, 256), recordVersion)
	b = binary.AppendVarint(b, r.UserID)
	for _, s := range []string{r.Source, r.Ref, r.Stamp, r.SourceSHA256, r.Rendering, r.UploadSHA256, r.ImageID, r.RunID} {
		b = appendText(b, s)
	}
	b = appendTime(b, r.UploadedAt)
	if f := r.Failure; f == nil {
		b = append(b, 0)
	} else {
		b = append(b, 1)
		for _, s := range []string{f.Code, f.RefID, f.Message, f.Hash, f.RunID} {
			b = appendText(b, s)
		}
		b = binary.AppendVarint(b, int64(f.Status))
		b = binary.AppendVarint(b, int64(f.Count))
		b = append(b, map[bool]byte{true: 1}[f.Final])
		b = appendTime(b, f.At)
	}
	return binary.LittleEndian.AppendUint32(b, checksum(r.Email, b))
}

func checksum(email string, data []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(email), castagnoli), castagnoli, data)
}

// decode reads what encode wrote for email.
func decode(email string, data []byte) (Record, error) {
	n := len(data) - 4
	if n < 1 || checksum(email, data[:n]) != binary.LittleEndian.Uint32(data[n:]) {
		return Record{}, errRecord
	}
	if data[0] != recordVersion {
		return Record{}, errors.New("a record is of an unknown version")
	}
	// One string for all the texts: their parts share its memory.
	d := decoder{rest: string(data[1:n])}
	r := Record{Email: email, UserID: d.varint()}
	for _, s := range []*string{&r.Source, &r.Ref, &r.Stamp, &r.SourceSHA256, &r.Rendering, &r.UploadSHA256, &r.ImageID, &r.RunID} {
		*s = d.text()
	}
	r.UploadedAt = d.time()
	if d.flag() {
		f := &Failure{}
		for _, s := range []*string{&f.Code, &f.RefID, &f.Message, &f.Hash, &f.RunID} {
			*s = d.text()
		}
		f.Status = int(d.varint())
		f.Count = int(d.varint())
		f.Final = d.flag()
		f.At = d.time()
		r.Failure = f
	}
	if d.bad || d.rest != "" {
		return Record{}, errRecord
	}
	return r, nil
}

// appendText writes twice the length and the bytes; hex digits, which the hashes
// are, take half the room, and the odd length says so.
func appendText(b []byte, s string) []byte {
	if n := len(s) / 2; n >= 16 && isHex(s) {
		b = binary.AppendUvarint(b, uint64(n)<<1|1)
		b, _ = hex.AppendDecode(b, []byte(s))
		return b
	}
	return append(binary.AppendUvarint(b, uint64(len(s))<<1), s...)
}

// isHex reports whether s comes back unchanged from bytes: an even number of
// digits, none in upper case.
func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s)%2 == 0
}

// appendTime writes the instant, in seconds and nanoseconds plus one; 0 is the
// zero time. It comes back in UTC.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return binary.AppendVarint(binary.AppendUvarint(b, uint64(t.Nanosecond())+1), t.Unix())
}

// decoder reads fields off the front of rest; bad sticks.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) take(n uint64) string {
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) uvarint() (v uint64) {
	for shift := 0; shift < 64; shift += 7 {
		c := d.take(1)
		if d.bad {
			return 0
		}
		v |= uint64(c[0]&0x7f) << shift
		if c[0] < 0x80 {
			return v
		}
	}
	d.bad = true
	return 0
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) text() string {
	n := d.uvarint()
	s := d.take(n >> 1)
	if n&1 == 0 {
		return s
	}
	var digits [64]byte // enough for SHA-256 without another allocation
	return string(hex.AppendEncode(digits[:0], []byte(s)))
}

func (d *decoder) flag() bool {
	c := d.take(1)
	if !d.bad && c[0] > 1 {
		d.bad = true
	}
	return !d.bad && c[0] == 1
}

func (d *decoder) time() time.Time {
	ns := d.uvarint()
	if ns == 0 || ns > 1e9 {
		d.bad = d.bad || ns != 0
		return time.Time{}
	}
	return time.Unix(d.varint(), int64(ns-1)).UTC()
}
