package state

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// NoPhoto is the Winner of a person for whom no source had a photo.
const NoPhoto = 255

// Fingerprint is a digest of everything that must stay the same for there to be
// nothing to do for a person. Zero: the next run looks at this person.
type Fingerprint [16]byte

// Person is a row of the people, by address: a cache of what the sources last listed.
type Person struct {
	Email        string      `json:"email" cbor:"-"`           // canonical; the key
	Fingerprint  Fingerprint `json:"-" cbor:"-"`               // zero: the next run looks at this person; an export has it beside the person
	Winner       uint8       `json:"winner,omitzero" cbor:"-"` // index of the candidate whose photo counted; NoPhoto: none
	Note         uint8       `json:"note,omitzero" cbor:"-"`   // why there is nothing to do, in the plan's numbers
	Source       string      `json:"source,omitzero" cbor:"1,keyasint,omitempty"`
	Ref          string      `json:"ref,omitzero" cbor:"2,keyasint,omitempty"`           // the path or DN there
	Key          string      `json:"key,omitzero" cbor:"3,keyasint,omitempty"`           // the source's own key, such as entryUUID=…; empty: none
	Stamp        string      `json:"stamp,omitzero" cbor:"4,keyasint,omitempty"`         // change mark in that listing
	SourceSHA256 string      `json:"source_sha256,omitzero" cbor:"5,keyasint,omitempty"` // of the photo, hex; empty: none
	UserID       int64       `json:"user_id,omitzero" cbor:"6,keyasint,omitempty"`       // the user the person was then; 0: nobody
	Reported     string      `json:"reported,omitzero" cbor:"7,keyasint,omitempty"`      // digest of what a report said about this person
}

// User is a row of the users, by id: what we put on a Smartsheet account.
type User struct {
	ID      int64    `json:"id" cbor:"-"`                                  // the key
	Email   string   `json:"email,omitzero" cbor:"1,keyasint,omitempty"`   // address that the user had when last seen
	Sent    *Sent    `json:"sent,omitzero" cbor:"2,keyasint,omitempty"`    // confirmed by an answer; nil: nothing
	Intent  *Intent  `json:"intent,omitzero" cbor:"3,keyasint,omitempty"`  // announced and not answered yet
	Missing int      `json:"missing,omitzero" cbor:"4,keyasint,omitempty"` // complete runs in a row without the photo
	Failure *Failure `json:"failure,omitzero" cbor:"5,keyasint,omitempty"` // of the last try; nil: it went well
	Drifts  int      `json:"drifts,omitzero" cbor:"6,keyasint,omitempty"`  // uploads in a row of identical bytes because Smartsheet showed another picture
}

// Origin says for whom a picture was sent.
type Origin struct {
	Source    string `json:"source,omitzero" cbor:"1,keyasint,omitempty"`
	Key       string `json:"key,omitzero" cbor:"2,keyasint,omitempty"` // the source's own; empty: it has none
	Email     string `json:"email,omitzero" cbor:"3,keyasint,omitempty"`
	Rewritten bool   `json:"rewritten,omitzero" cbor:"12,keyasint,omitempty"` // match.domains made Email of the address that was listed
}

// Sent is an upload that an answer confirmed.
type Sent struct {
	Origin
	SourceSHA256 string    `json:"source_sha256,omitzero" cbor:"4,keyasint,omitempty"` // of the photo, hex
	UploadSHA256 string    `json:"upload_sha256,omitzero" cbor:"5,keyasint,omitempty"` // of the bytes that were sent, hex
	Rendering    string    `json:"rendering,omitzero" cbor:"6,keyasint,omitempty"`     // fingerprint of the image settings
	ImageID      string    `json:"image_id,omitzero" cbor:"7,keyasint,omitempty"`      // as the answer gave it
	RunID        string    `json:"run_id,omitzero" cbor:"8,keyasint,omitempty"`
	At           time.Time `json:"at,omitzero" cbor:"9,keyasint,omitzero"`
	Placeholder  bool      `json:"placeholder,omitzero" cbor:"10,keyasint,omitempty"` // drawn initials, in the place of a photo that was removed
	Adopted      bool      `json:"adopted,omitzero" cbor:"11,keyasint,omitempty"`     // the state was lost: the picture that Smartsheet showed counts as sent
}

// Intent is an upload that was announced and has no answer yet: it may have arrived.
type Intent struct {
	Origin
	SourceSHA256 string    `json:"source_sha256,omitzero" cbor:"4,keyasint,omitempty"`
	UploadSHA256 string    `json:"upload_sha256,omitzero" cbor:"5,keyasint,omitempty"`
	Rendering    string    `json:"rendering,omitzero" cbor:"6,keyasint,omitempty"`
	Foreign      string    `json:"foreign,omitzero" cbor:"7,keyasint,omitempty"` // image id of somebody else's picture seen before; empty: none, or it was ours
	RunID        string    `json:"run_id,omitzero" cbor:"8,keyasint,omitempty"`
	At           time.Time `json:"at,omitzero" cbor:"9,keyasint,omitzero"`
	Placeholder  bool      `json:"placeholder,omitzero" cbor:"10,keyasint,omitempty"`
}

// Failure is the last attempt that failed for a user.
type Failure struct {
	Code      string    `json:"code" cbor:"1,keyasint,omitempty"` // errorCode, or the code of a refused picture
	RefID     string    `json:"ref_id,omitzero" cbor:"2,keyasint,omitempty"`
	Status    int       `json:"status,omitzero" cbor:"3,keyasint,omitempty"` // HTTP
	Message   string    `json:"message" cbor:"4,keyasint,omitempty"`
	Hash      string    `json:"hash,omitzero" cbor:"5,keyasint,omitempty"`      // SHA-256 of the source bytes that failed, hex
	Rendering string    `json:"rendering,omitzero" cbor:"6,keyasint,omitempty"` // the image settings that they failed with
	Final     bool      `json:"final" cbor:"7,keyasint,omitempty"`              // the same bytes would be refused again
	Count     int       `json:"count" cbor:"8,keyasint,omitempty"`              // failures in a row with the same hash
	At        time.Time `json:"at,omitzero" cbor:"9,keyasint,omitzero"`
	RunID     string    `json:"run_id,omitzero" cbor:"10,keyasint,omitempty"`
}

// A value in the file begins with a checksum over its key and what follows (CRC-32C, little-endian). A person's
// value goes on with the fingerprint, the winner and the note. The rest is a CBOR map (RFC 8949) whose keys are
// the numbers in the struct tags of Person and User. A new field takes a new number; no number is used again.
const (
	checksumSize = 4
	personHead   = checksumSize + len(Fingerprint{}) + 2 // the winner and the note
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errValue   = errors.New("its checksum does not match")

	// Texts are stored as byte strings: file names and keys need not be UTF-8.
	encoding = must(cbor.EncOptions{String: cbor.StringToByteString, Time: cbor.TimeRFC3339NanoUTC}.EncMode())
	decoding = must(cbor.DecOptions{
		ByteStringToString: cbor.ByteStringToStringAllowed,
		ByteStringToTime:   cbor.ByteStringToTimeAllowed,
		ExtraReturnErrors:  cbor.ExtraDecErrorUnknownField,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// row is a row as it is stored.
type row struct {
	key   string
	value []byte // nil: to be removed
}

func encodePerson(p *Person) row {
	value := append(make([]byte, checksumSize, personHead), p.Fingerprint[:]...)
	value = append(value, p.Winner, p.Note)
	return seal(p.Email, append(value, must(encoding.Marshal(p))...))
}

func encodeUser(u *User) row {
	return seal(userKey(u.ID), append(make([]byte, checksumSize), must(encoding.Marshal(u))...))
}

func userKey(id int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(id))) }

// seal makes the row of a key. value begins with room for the checksum.
func seal(key string, value []byte) row {
	binary.LittleEndian.PutUint32(value, checksum(key, value))
	return row{key, value}
}

func checksum(key string, value []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, value[checksumSize:])
}

// verify checks a row against its checksum. As that covers the key, no row can pass for another.
func (r row) verify() error {
	if len(r.value) < checksumSize || checksum(r.key, r.value) != binary.LittleEndian.Uint32(r.value) {
		return errValue
	}
	return nil
}

// head reads the fixed part of a person's verified row.
func (r row) head() (f Fingerprint, winner, note uint8, err error) {
	if len(r.value) < personHead {
		return f, 0, 0, errors.New("it is too short")
	}
	return Fingerprint(r.value[checksumSize:]), r.value[personHead-2], r.value[personHead-1], nil
}

// person reads a verified row into p.
func (r row) person(p *Person) (err error) {
	*p = Person{Email: r.key}
	if p.Fingerprint, p.Winner, p.Note, err = r.head(); err == nil {
		err = decoding.Unmarshal(r.value[personHead:], p)
	}
	return err
}

func (r row) userID() int64 { return int64(binary.BigEndian.Uint64([]byte(r.key))) }

// user reads a verified row into u.
func (r row) user(u *User) error {
	*u = User{ID: r.userID()}
	return decoding.Unmarshal(r.value[checksumSize:], u)
}
