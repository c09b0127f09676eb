package ldap

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"photosync/sources"
)

// Bytes.
const (
	maxEntry = 4 * sources.MaxPhotoBytes // the message of an entry; of a larger message only the DN is read
	maxRest  = 1 << 20                   // what one operation leaves to go-ldap, which copies it several times
	maxHead  = 13                        // a message up to the tag of its protocolOp; every answer ends with a longer message
	maxDN    = 8 << 10                   // of an entry that is too large
	maxKept  = 1 << 20                   // memory that is kept for the next entry
)

const notLDAPHint = "check address and port in urls: is that an LDAP server, and is TLS meant?"

var (
	errMalformed = &problem{error: errors.New("the server's answer is not LDAP"), hint: notLDAPHint}
	errTooMuch   = &problem{error: errors.New("the server's answer is larger than any that makes sense"), hint: notLDAPHint}
)

// wire sits between a connection and go-ldap. It takes the entries of a search out of the stream and
// passes them on as they arrive: go-ldap makes fifteen bytes of garbage for each byte of a photo, and
// keeps every value twice until the search is over. go-ldap gets everything else. During an answer,
// each wait for bytes is bounded, however long the whole answer takes.
type wire struct {
	net.Conn
	idle    time.Duration
	r       *bufio.Reader
	message []byte       // of an entry, until the sink returns
	rest    int          // bytes of the current message that go-ldap has still to read
	room    atomic.Int64 // bytes that the operation may still leave to go-ldap

	lock    chan struct{}      // full while a goroutine uses the fields below, or the sink has an entry
	sink    func(*entry) error // of the search under way; nil: none
	waiting bool               // for an answer
	err     error              // why the connection was given up
}

func newWire(c net.Conn, idle time.Duration) *wire {
	w := &wire{Conn: c, idle: idle, lock: make(chan struct{}, 1)}
	w.r = bufio.NewReaderSize((*idleReader)(w), 64<<10)
	return w
}

// begin starts the wait for an answer. Entries go to sink, on another goroutine, until end returns.
func (w *wire) begin(sink func(*entry) error) {
	w.room.Store(maxRest)
	w.locked(func() {
		w.sink, w.waiting = sink, true
		w.Conn.SetReadDeadline(time.Now().Add(w.idle)) // also for the read that waits already
	})
}

// end returns why the connection was given up during the wait; go-ldap says only that it was. If the
// sink has an entry, end waits for it.
func (w *wire) end() (err error) {
	w.locked(func() {
		w.sink, w.waiting, err = nil, false, w.err
		w.Conn.SetReadDeadline(time.Time{})
	})
	return err
}

func (w *wire) locked(do func()) {
	w.lock <- struct{}{}
	defer func() { <-w.lock }()
	do()
}

func (w *wire) fail(err error) error {
	w.locked(func() {
		if w.err == nil {
			w.err = err
		}
	})
	return err
}

// Read gives go-ldap all messages but entries.
func (w *wire) Read(p []byte) (int, error) {
	for w.rest == 0 {
		if err := w.next(); err != nil {
			return 0, w.fail(err)
		}
	}
	n, err := w.r.Read(p[:min(len(p), w.rest)])
	w.rest -= n
	return n, err
}

// Write bounds how long a server may take to accept a request. It stores an error, which go-ldap
// would turn into a mere text.
func (w *wire) Write(p []byte) (int, error) {
	w.Conn.SetWriteDeadline(time.Now().Add(w.idle))
	n, err := w.Conn.Write(p)
	if err != nil {
		w.fail(err)
	}
	return n, err
}

// next reads an entry and passes it on, or finds out how long the next message for go-ldap is.
func (w *wire) next() error {
	b, err := w.r.Peek(maxHead)
	op, size, ok := messageHead(b)
	if !ok {
		return cmp.Or(err, error(errMalformed))
	}
	if b[op] != tagEntry {
		if w.room.Add(-int64(size)) < 0 {
			return errTooMuch
		}
		w.rest = size
		return nil
	}
	var e *entry
	if size > maxEntry {
		b, _ = w.r.Peek(op + maxDN) // if the stream ends here, Discard fails
		e = newEntry(b[op:], size)
		_, err = w.r.Discard(size)
	} else {
		if b = slices.Grow(w.message[:0], size)[:size]; size <= maxKept {
			w.message = b
		}
		_, err = io.ReadFull(w.r, b)
		e = newEntry(b[op:], size)
	}
	if err == nil && e == nil {
		err = errMalformed
	}
	w.locked(func() {
		if err == nil && w.sink != nil { // without a sink, the search was given up
			err = w.sink(e)
		}
	})
	return err
}

// idleReader reads from the connection of a wire, with a limit for each read.
type idleReader wire

func (w *idleReader) Read(p []byte) (int, error) {
	(*wire)(w).locked(func() {
		if w.waiting {
			w.Conn.SetReadDeadline(time.Now().Add(w.idle))
		}
	})
	n, err := w.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = &problem{error: fmt.Errorf("no answer for %s", w.idle), hint: "the server is there and does not answer: look at its load, or raise idle_timeout"}
	}
	return n, err
}

// Tags of the subset of BER that LDAP allows (RFC 4511, section 5.1).
const (
	tagOctets   = 0x04
	tagSequence = 0x30
	tagSet      = 0x31
	tagEntry    = 0x64 // SearchResultEntry (RFC 4511, section 4.5.2)
)

// maxValues bounds the values of an entry: large groups have that many members. An entry with more
// values counts as too large.
const maxValues = 1 << 20

// entry is an entry as a search returned it.
type entry struct {
	dn         string
	attributes []byte // PartialAttributeList, as received
	tooLarge   int    // the size in bytes, if only the DN was read; else 0
}

// newEntry reads the SearchResultEntry of a message of this size; only the DN, if the message is too
// large. It returns nil if the entry is malformed.
func newEntry(b []byte, size int) *entry {
	_, at, n, ok := head(b)
	if !ok || size <= maxEntry && n > len(b)-at {
		return nil
	}
	dn, rest, ok := element(b[at:min(at+n, len(b))], tagOctets)
	if ok && size > maxEntry {
		return &entry{dn: string(dn), tooLarge: size}
	}
	list, _, ok := element(rest, tagSequence)
	e, values := &entry{dn: string(dn), attributes: list}, 0
	if !ok || !e.each(func(_, _ []byte) { values++ }) {
		return nil
	}
	if values > maxValues {
		e.attributes, e.tooLarge = nil, size
	}
	return e
}

// each calls visit for every value of every attribute, and reports whether the list is well-formed.
// The name has its options (";binary", ";lang-de").
func (e *entry) each(visit func(name, value []byte)) bool {
	for list := e.attributes; len(list) > 0; {
		pair, rest, _ := element(list, tagSequence)
		name, values, _ := element(pair, tagOctets)
		set, _, ok := element(values, tagSet)
		if !ok {
			return false
		}
		for list = rest; len(set) > 0; {
			value, rest, ok := element(set, tagOctets)
			if !ok {
				return false
			}
			visit(name, value)
			set = rest
		}
	}
	return true
}

// values returns the values of an attribute, whatever the case of its name and its options.
func (e *entry) values(name string) (vs [][]byte) {
	e.each(func(full, value []byte) {
		if own, _, _ := bytes.Cut(full, []byte(";")); bytes.EqualFold(own, []byte(name)) {
			vs = append(vs, value)
		}
	})
	return vs
}

// text returns the first value of an attribute; empty: there is none.
func (e *entry) text(name string) string {
	if vs := e.values(name); len(vs) > 0 {
		return string(vs[0])
	}
	return ""
}

func (e *entry) texts(name string) (ts []string) {
	for _, v := range e.values(name) {
		ts = append(ts, string(v))
	}
	return ts
}

// ranged reports whether the server sent only a part of the values of one of these attributes: Active
// Directory does that if there are many ([MS-ADTS], section 3.1.1.3.1.3.3).
func (e *entry) ranged(names []string) (partly bool) {
	e.each(func(full, _ []byte) {
		own, options, _ := strings.Cut(strings.ToLower(string(full)), ";")
		partly = partly || strings.Contains(options, "range=") && !strings.HasSuffix(options, "-*") &&
			slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, own) })
	})
	return partly
}

// messageHead finds the protocolOp and the size of the LDAPMessage that b begins with (RFC 4511, section 4.1.1).
func messageHead(b []byte) (op, size int, ok bool) {
	tag, at, n, ok := head(b)
	if !ok || tag != tagSequence {
		return 0, 0, false
	}
	idTag, idAt, idN, ok := head(b[at:])
	op, size = at+idAt+idN, at+n
	return op, size, ok && idTag == 0x02 && idN >= 1 && idN <= 4 && op < min(size, len(b))
}

// element splits b after its first element, if that has this tag and is complete.
func element(b []byte, tag byte) (content, rest []byte, ok bool) {
	got, at, n, ok := head(b)
	if !ok || got != tag || n > len(b)-at {
		return nil, nil, false
	}
	return b[at : at+n : at+n], b[at+n:], true
}

// head reads the tag and length that b begins with: where the content begins, and how many bytes it
// has (X.690, section 8.1).
func head(b []byte) (tag byte, at, n int, ok bool) {
	if len(b) < 2 {
		return 0, 0, 0, false
	}
	if n = int(b[1]); n < 0x80 {
		return b[0], 2, n, true
	}
	at, n = 2+n&0x7f, 0
	if at == 2 || at > 6 || at > len(b) {
		return 0, 0, 0, false
	}
	for _, c := range b[2:at] {
		n = n<<8 | int(c)
	}
	return b[0], at, n, n >= 0
}
