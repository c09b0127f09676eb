package state

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"
)

// A value in the file is a checksum over its key and what follows (CRC-32C,
// little-endian), for a person the fingerprint, the winner and the note at fixed places, and
// then a CBOR map (RFC 8949) whose keys are the numbers in the struct tags of
// Person and User. A field that comes later takes a new number; a number is never
// used again.
const (
	checksumSize = 4
	personHead   = checksumSize + len(Fingerprint{}) + 2 // the winner and the note
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errValue = errors.New("its checksum does not match")

// Texts are stored as byte strings: file names and keys need not be UTF-8.
var (
	encoding = must(cbor.EncOptions{String: cbor.StringToByteString, Time: cbor.TimeRFC3339NanoUTC}.EncMode())
	decoding = must(cbor.DecOptions{
		ByteStringToString: cbor.ByteStringToStringAllowed,
		ByteStringToTime:   cbor.ByteStringToTimeAllowed,
		ExtraReturnErrors:  cbor.ExtraDecErrorUnknownField,
		DupMapKey:          cbor.DupMapKeyEnforcedAPF,
		IndefLength:        cbor.IndefLengthForbidden,
		TagsMd:             cbor.TagsForbidden,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func encodePerson(p *Person) (key, value []byte, err error) {
	key = []byte(p.Email)
	value = append(make([]byte, checksumSize, 256), p.Fingerprint[:]...)
	value, err = appendCBOR(append(value, p.Winner, p.Note), p)
	return key, seal(key, value), err
}

func encodeUser(u *User) (key, value []byte, err error) {
	key = userKey(u.ID)
	value, err = appendCBOR(make([]byte, checksumSize, 256), u)
	return key, seal(key, value), err
}

func userKey(id int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

// idOf is the id of a user's key.
func idOf(key []byte) int64 {
	if len(key) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(key))
}

func appendCBOR(b []byte, v any) ([]byte, error) {
	data, err := encoding.Marshal(v)
	return append(b, data...), err
}

// seal fills in the checksum of a value.
func seal(key, value []byte) []byte {
	binary.LittleEndian.PutUint32(value, checksum(key, value[checksumSize:]))
	return value
}

func checksum(key, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, data)
}

// verify checks a value against its checksum, which covers the key too: a damaged
// page can never pass for what is remembered of someone else.
func verify(key, value []byte) error {
	if len(value) < checksumSize || checksum(key, value[checksumSize:]) != binary.LittleEndian.Uint32(value) {
		return errValue
	}
	return nil
}

// decodePerson reads a verified value.
func decodePerson(email string, value []byte) (Person, error) {
	p := Person{Email: email}
	if len(value) < personHead {
		return Person{}, errors.New("it is too short")
	}
	copy(p.Fingerprint[:], value[checksumSize:])
	p.Winner, p.Note = value[personHead-2], value[personHead-1]
	if err := decoding.Unmarshal(value[personHead:], &p); err != nil {
		return Person{}, err
	}
	return p, nil
}

// decodeUser reads a verified value.
func decodeUser(id int64, value []byte) (User, error) {
	u := User{ID: id}
	if err := decoding.Unmarshal(value[checksumSize:], &u); err != nil {
		return User{}, err
	}
	return u, nil
}
