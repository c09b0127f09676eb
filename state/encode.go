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

var (
	errValue = errors.New("its checksum does not match")
	errShort = errors.New("it is too short")
)

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
	body, err := encoding.Marshal(p)
	return key, seal(key, p.Fingerprint[:], []byte{p.Winner, p.Note}, body), err
}

func encodeUser(u *User) (key, value []byte, err error) {
	key = userKey(u.ID)
	body, err := encoding.Marshal(u)
	return key, seal(key, body), err
}

func userKey(id int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

// idOf is the id of a user's key.
func idOf(key []byte) int64 {
	if len(key) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(key))
}

// seal is the value of a key: its data behind their checksum.
func seal(key []byte, data ...[]byte) []byte {
	value := make([]byte, checksumSize, 256)
	for _, d := range data {
		value = append(value, d...)
	}
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

// decodeHead reads what stands at fixed places in a person's verified value.
func decodeHead(value []byte) (f Fingerprint, winner, note uint8, err error) {
	if len(value) < personHead {
		return f, 0, 0, errShort
	}
	return Fingerprint(value[checksumSize:]), value[personHead-2], value[personHead-1], nil
}

// decodePerson reads a verified value.
func decodePerson(email string, value []byte) (p Person, err error) {
	p.Email = email
	if p.Fingerprint, p.Winner, p.Note, err = decodeHead(value); err == nil {
		err = decoding.Unmarshal(value[personHead:], &p)
	}
	if err != nil {
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
