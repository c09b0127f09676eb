package sources

import (
	"encoding/binary"
	"encoding/hex"
)

// appendText writes the length of s and s.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (c *cursor) uvarint() int {
	v, n := binary.Uvarint(c.rest)
	c.rest = c.rest[n:]
	return int(v)
}

func (c *cursor) take(n int) []byte {
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) appendText(b []byte) []byte { return append(b, c.take(c.uvarint())...) }

// maxWords bounds the table of what repeats. What does not repeat, or comes when
// the table is full, stands where it is used.
const maxWords = 1 << 14

// words is a table of texts that repeat.
type words struct {
	all     []string
	numbers map[string]int
}

// append writes the number of s, counted from 1, or 0 and s itself.
func (w *words) append(b []byte, s string) []byte {
	n, ok := w.numbers[s]
	if !ok && len(w.all) < maxWords {
		if w.numbers == nil {
			w.numbers = map[string]int{}
		}
		n, ok = len(w.all), true
		s = string([]byte(s)) // the table must not keep what s is a part of
		w.numbers[s] = n
		w.all = append(w.all, s)
	}
	if !ok {
		return appendText(append(b, 0), s)
	}
	return binary.AppendUvarint(b, uint64(n+1))
}

func (c *cursor) word() string {
	n := c.uvarint()
	if n == 0 {
		return string(c.take(c.uvarint()))
	}
	return c.roster.words.all[n-1]
}

func (c *cursor) appendWord(b []byte) []byte { return append(b, c.word()...) }

// Marks and keys are mostly hex digits with a separator here and there: a stamp of
// a file, an entryUUID. They are packed as runs: a byte that tells the length, 0
// at the end, and then either the bytes or, with isDigits, two digits a byte; with
// andDash a "-" follows.
const (
	isDigits = 1 << 7
	andDash  = 1 << 6
	maxRun   = andDash - 1
	// minDigits is the least that is worth a run of its own.
	minDigits = 4
)

func appendPacked(b []byte, s string) []byte {
	for s != "" {
		n := digits(s)
		if n >= minDigits {
			head := byte(isDigits | n)
			var pair [2]byte
			at := len(b) + 1
			b = append(b, head)
			for i := 0; i < n; i += 2 {
				pair[0], pair[1] = s[i], '0'
				if i+1 < n {
					pair[1] = s[i+1]
				}
				b, _ = hex.AppendDecode(b, pair[:])
			}
			s = s[n:]
			if s != "" && s[0] == '-' {
				b[at-1] |= andDash
				s = s[1:]
			}
			continue
		}
		for n < min(len(s), maxRun) && digits(s[n:]) < minDigits {
			n++
		}
		b = append(append(b, byte(n)), s[:n]...)
		s = s[n:]
	}
	return append(b, 0)
}

// digits counts the lower-case hex digits that s begins with, up to maxRun.
func digits(s string) (n int) {
	for n < min(len(s), maxRun) && (s[n] >= '0' && s[n] <= '9' || s[n] >= 'a' && s[n] <= 'f') {
		n++
	}
	return n
}

func (c *cursor) appendUnpacked(b []byte) []byte {
	for {
		head := c.take(1)[0]
		n := int(head & maxRun)
		switch {
		case head == 0:
			return b
		case head&isDigits == 0:
			b = append(b, c.take(n)...)
			continue
		}
		b = hex.AppendEncode(b, c.take((n+1)/2))
		if n%2 == 1 {
			b = b[:len(b)-1]
		}
		if head&andDash != 0 {
			b = append(b, '-')
		}
	}
}
