package state

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
	"time"
)

// Versions of a stored record: its first byte. Records of all of them live in one
// file; what is written is of the last one.
const (
	recordVersion1 = 1
	recordVersion  = 2
)

// What a record has, beside the fields that every record has. A field that comes
// later takes a new flag, and the schema a new version.
const (
	hasPhoto    = 1 << iota // SourceSHA256
	hasUpload               // UploadSHA256
	sameBytes               // both are the same
	placeholder             // Placeholder
	isMissing               // Missing
	hasFailure              // Failure
	isFinal                 // Failure.Final
	adopted                 // Adopted
	knownFlags  = 1<<iota - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errRecord  = errors.New("a record does not add up")
	errVersion = errors.New("a record is of an unknown version")
)

// encode returns a record as it is stored: the version, the fields in order, those
// first that tell whether anything is to be done, and a checksum that covers the
// email too, so that a damaged page can never pass for what is remembered of
// someone. JSON would take four times as long to read, and the nightly run reads
// everyone.
func (t *texts) encode(r *Record) []byte {
	b := append(make([]byte, 0, 256), recordVersion)
	b = binary.AppendUvarint(b, flagsOf(r))
	b = t.appendShared(b, r.Source)
	b = t.appendShared(b, r.Rendering)
	b = appendRef(b, r.Ref, r.Email)
	b = appendText(b, r.Stamp)
	b = binary.AppendVarint(b, r.UserID)
	if r.Missing != 0 {
		b = binary.AppendVarint(b, int64(r.Missing))
	}
	if r.SourceSHA256 != "" {
		b = appendText(b, r.SourceSHA256)
	}
	if r.UploadSHA256 != "" && r.UploadSHA256 != r.SourceSHA256 {
		b = appendText(b, r.UploadSHA256)
	}
	b = appendText(b, r.ImageID)
	b = t.appendShared(b, r.RunID)
	b = appendTime(b, r.UploadedAt)
	if f := r.Failure; f != nil {
		for _, s := range []string{f.Code, f.RefID, f.Message, f.Hash} {
			b = appendText(b, s)
		}
		b = t.appendShared(b, f.RunID)
		b = binary.AppendVarint(b, int64(f.Status))
		b = binary.AppendVarint(b, int64(f.Count))
		b = appendTime(b, f.At)
	}
	return binary.LittleEndian.AppendUint32(b, checksum([]byte(r.Email), b))
}

func flagsOf(r *Record) (flags uint64) {
	for _, f := range []struct {
		flag uint64
		set  bool
	}{
		{hasPhoto, r.SourceSHA256 != ""},
		{hasUpload, r.UploadSHA256 != ""},
		{sameBytes, r.UploadSHA256 != "" && r.UploadSHA256 == r.SourceSHA256},
		{placeholder, r.Placeholder},
		{isMissing, r.Missing != 0},
		{hasFailure, r.Failure != nil},
		{isFinal, r.Failure != nil && r.Failure.Final},
		{adopted, r.Adopted},
	} {
		if f.set {
			flags |= f.flag
		}
	}
	return flags
}

func checksum(email, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(email, castagnoli), castagnoli, data)
}

// verify checks what is stored for email against its checksum.
func verify(email, data []byte) error {
	n := len(data) - 4
	if n < 1 || checksum(email, data[:n]) != binary.LittleEndian.Uint32(data[n:]) {
		return errRecord
	}
	return nil
}

// decode reads what was written for email, in any version; it is verified. table
// holds the texts by number. The texts of the record share data's memory.
func decode(table []string, email, data string) (Record, error) {
	d := newDecoder(table, email, data)
	var r Record
	switch data[0] {
	case recordVersion1:
		r = d.record1()
	case recordVersion:
		r = d.record()
	default:
		return Record{}, errVersion
	}
	if d.bad || d.rest != "" {
		return Record{}, errRecord
	}
	return r, nil
}

// record reads the fields of the current version.
func (d *decoder) record() Record {
	flags := d.flags()
	r := Record{Email: d.email, Source: d.text(), Rendering: d.text(), Ref: d.text(), Stamp: d.text(), UserID: d.varint()}
	r.Placeholder, r.Adopted = flags&placeholder != 0, flags&adopted != 0
	if flags&isMissing != 0 {
		r.Missing = int(d.varint())
	}
	if flags&hasPhoto != 0 {
		r.SourceSHA256 = d.text()
	}
	switch {
	case flags&sameBytes != 0:
		r.UploadSHA256 = r.SourceSHA256
	case flags&hasUpload != 0:
		r.UploadSHA256 = d.text()
	}
	r.ImageID, r.RunID = d.text(), d.text()
	r.UploadedAt = d.time()
	if flags&hasFailure != 0 {
		f := &Failure{Code: d.text(), RefID: d.text(), Message: d.text(), Hash: d.text(), RunID: d.text()}
		f.Status, f.Count = int(d.varint()), int(d.varint())
		f.At = d.time()
		f.Final = flags&isFinal != 0
		r.Failure = f
	}
	return r
}

// record1 reads the fields of version 1.
func (d *decoder) record1() Record {
	d.plain = true
	r := Record{Email: d.email, UserID: d.varint()}
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
	return r
}

// The kinds of a stored text: the low bits of the number before it. Version 1 had
// the first two, and one bit for them.
const (
	asBytes   = iota // its length; the bytes follow
	asHex            // of half its length in bytes: hex digits, which the hashes are
	asNumber         // in the table of texts
	withEmail        // the length of what stands before the email; that, and what stands after it as another text
	kinds
)

func appendText(b []byte, s string) []byte {
	if packs(s) {
		b = binary.AppendUvarint(b, uint64(len(s)/2)*kinds+asHex)
		b, _ = hex.AppendDecode(b, []byte(s))
		return b
	}
	return append(binary.AppendUvarint(b, uint64(len(s))*kinds+asBytes), s...)
}

// appendShared writes a text that many records have.
func (t *texts) appendShared(b []byte, s string) []byte {
	if s != "" {
		if n, ok := t.number(s); ok {
			return binary.AppendUvarint(b, n*kinds+asNumber)
		}
	}
	return appendText(b, s)
}

// appendRef writes a text that may hold the email, as the name of a file does.
func appendRef(b []byte, s, email string) []byte {
	at := strings.Index(s, email)
	if at < 0 || email == "" {
		return appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(at)*kinds+withEmail)
	b = append(b, s[:at]...)
	return appendText(b, s[at+len(email):])
}

// packs reports whether s is stored as bytes: it is long enough, and comes back
// unchanged, with an even number of digits, none in upper case.
func packs(s string) bool {
	if len(s) < 32 {
		return false
	}
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
