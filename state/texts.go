package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"go.etcd.io/bbolt"
)

// textsBucket holds the texts that repeat in every record: number -> checksum and
// text. A source's name, the fingerprint of the image settings and a run's id
// would otherwise stand there a million times, and take more room than the rest.
var textsBucket = []byte("texts")

// maxTexts bounds the table, which is in memory while the state is open. A text
// beyond it stands in the record itself.
const maxTexts = 1 << 16

// texts is the table of an open state. It only grows: a number keeps its meaning.
type texts struct {
	mu      sync.RWMutex
	all     []string // by number
	numbers map[string]uint64
	saved   int // of all, those in the file
}

// number returns the number of s, a new one if need be. It is false when the table
// is full.
func (t *texts) number(s string) (uint64, bool) {
	t.mu.RLock()
	n, ok := t.numbers[s]
	t.mu.RUnlock()
	if ok {
		return n, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, ok := t.numbers[s]; ok {
		return n, true
	}
	if len(t.all) >= maxTexts {
		return 0, false
	}
	t.add(s)
	return uint64(len(t.all) - 1), true
}

func (t *texts) add(s string) {
	if t.numbers == nil {
		t.numbers = map[string]uint64{}
	}
	t.numbers[s] = uint64(len(t.all))
	t.all = append(t.all, s)
}

// table returns the texts by number, as of now.
func (t *texts) table() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.all
}

// load reads the table of a file.
func (t *texts) load(tx *bbolt.Tx) error {
	b := tx.Bucket(textsBucket)
	if b == nil { // of version 1, opened read-only
		return nil
	}
	err := b.ForEach(func(k, v []byte) error {
		if len(k) != 4 || int(binary.BigEndian.Uint32(k)) != len(t.all) || len(v) < 4 ||
			textChecksum(k, v[4:]) != binary.LittleEndian.Uint32(v) {
			return fmt.Errorf("text %d does not add up", len(t.all))
		}
		t.add(string(v[4:]))
		return nil
	})
	t.saved = len(t.all)
	return err
}

// save puts what is new into the file, in the transaction that writes the records
// which use it. committed must be called with the result once it is durable.
func (t *texts) save(tx *bbolt.Tx) (upTo int, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.saved == len(t.all) {
		return t.saved, nil
	}
	b := tx.Bucket(textsBucket)
	if b == nil {
		return 0, errors.New("the texts are missing")
	}
	for n := t.saved; n < len(t.all); n++ {
		k := binary.BigEndian.AppendUint32(nil, uint32(n))
		v := binary.LittleEndian.AppendUint32(nil, textChecksum(k, []byte(t.all[n])))
		if err := b.Put(k, append(v, t.all[n]...)); err != nil {
			return 0, err
		}
	}
	return len(t.all), nil
}

func (t *texts) committed(upTo int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saved = max(t.saved, upTo)
}

func textChecksum(number, text []byte) uint32 {
	return crc32.Update(crc32.Checksum(number, castagnoli), castagnoli, text)
}
