package state

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// A value in the file is a checksum over its key and what follows (CRC-32C,
// little-endian), for a person the fingerprint, the winner and the note, and then a CBOR
// map (RFC 8949) whose keys are the numbers in the struct tags of Person and User. A
// field that comes later takes a new number; a number is never used again.
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
	return seal(p.Email, p.Fingerprint[:], []byte{p.Winner, p.Note}, must(encoding.Marshal(p)))
}

func encodeUser(u *User) row { return seal(userKey(u.ID), must(encoding.Marshal(u))) }

func userKey(id int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(id))) }
func idOf(key string) int64   { return int64(binary.BigEndian.Uint64([]byte(key))) }

// seal is the row of a key: its data behind their checksum.
func seal(key string, data ...[]byte) row {
	value := slices.Concat(slices.Insert(data, 0, make([]byte, checksumSize))...)
	binary.LittleEndian.PutUint32(value, checksum(key, value))
	return row{key, value}
}

func checksum(key string, value []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, value[checksumSize:])
}

// verify checks a row against its checksum: none can pass for someone else's.
func (r row) verify() error {
	if len(r.value) < checksumSize || checksum(r.key, r.value) != binary.LittleEndian.Uint32(r.value) {
		return errValue
	}
	return nil
}

// head reads what stands at fixed places in a person's verified row.
func (r row) head() (f Fingerprint, winner, note uint8, err error) {
	if len(r.value) < personHead {
		return f, 0, 0, errors.New("it is too short")
	}
	return Fingerprint(r.value[checksumSize:]), r.value[personHead-2], r.value[personHead-1], nil
}

// person reads a verified row.
func (r row) person() (p Person, err error) {
	p.Email = r.key
	if p.Fingerprint, p.Winner, p.Note, err = r.head(); err == nil {
		err = decoding.Unmarshal(r.value[personHead:], &p)
	}
	return p, err
}

// present is whether a value is there.
type present bool

// UnmarshalCBOR does not decode the value.
func (p *present) UnmarshalCBOR([]byte) error {
	*p = true
	return nil
}

// sent reports whether a user's verified row has a picture of ours.
func (r row) sent() (bool, error) {
	var u struct {
		Sent present `cbor:"2,keyasint"`
	}
	err := cbor.Unmarshal(r.value[checksumSize:], &u)
	return bool(u.Sent), err
}

// user reads a verified row.
func (r row) user() (u User, err error) {
	u.ID = idOf(r.key)
	err = decoding.Unmarshal(r.value[checksumSize:], &u)
	return u, err
}
