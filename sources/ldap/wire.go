package ldap

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"photosync/sources"
)

const (
	// tagEntry is the protocolOp of a SearchResultEntry (RFC 4511, section 4.5.2).
	tagEntry = 0x64
	// maxRest bounds what one operation leaves to go-ldap, which holds it several
	// times: results and references to other servers.
	maxRest = 1 << 20
)

// wire stands between a connection and go-ldap. It takes the entries of a search out of the
// stream and hands them on as they arrive: go-ldap makes fifteen bytes of garbage for each
// byte of a photo, and keeps every value twice until the search is over. The rest is
// go-ldap's. While an answer is awaited, each wait for bytes is bounded, however long the
// whole answer takes.
type wire struct {
	net.Conn
	idle    time.Duration
	r       *bufio.Reader
	rest    int              // bytes of the current message that are still go-ldap's
	buffers *sources.Buffers // of large values

	giving  chan struct{} // full while the sink has an entry
	mu      sync.Mutex
	sink    func(*entry) error // of the search under way; nil: none
	room    int                // bytes that the operation may still leave to go-ldap
	waiting bool
	err     error // why the connection was given up
}

func newWire(c net.Conn, idle time.Duration, buffers *sources.Buffers) *wire {
	w := &wire{Conn: c, idle: idle, buffers: buffers, room: maxRest, giving: make(chan struct{}, 1)}
	w.r = bufio.NewReaderSize(rawReader{w}, 64<<10)
	return w
}

// begin starts the wait for an answer. Entries go to sink, on another goroutine,
// until end returns.
func (w *wire) begin(sink func(*entry) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sink, w.room, w.waiting = sink, maxRest, true
	w.Conn.SetReadDeadline(time.Now().Add(w.idle)) // also for the read that waits already
}

// end returns why the connection was given up while it was waited for; go-ldap
// only says that it was. It waits for the sink, if that has an entry.
func (w *wire) end() error {
	w.mu.Lock()
	w.sink, w.waiting = nil, false
	w.Conn.SetReadDeadline(time.Time{})
	w.mu.Unlock()
	w.giving <- struct{}{}
	defer func() { <-w.giving }()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// give gives an entry to the sink, unless the search was given up.
func (w *wire) give(e *entry) error {
	w.giving <- struct{}{}
	defer func() { <-w.giving }()
	w.mu.Lock()
	sink := w.sink
	w.mu.Unlock()
	if sink == nil {
		return nil
	}
	return sink(e)
}

func (w *wire) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
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

// Write bounds the time that a server may refuse to take a request, and keeps an
// error: go-ldap makes a text of it.
func (w *wire) Write(p []byte) (int, error) {
	w.Conn.SetWriteDeadline(time.Now().Add(w.idle))
	n, err := w.Conn.Write(p)
	if err != nil {
		return n, w.fail(err)
	}
	return n, nil
}

// next takes an entry off the wire, or finds out how long the next message is.
func (w *wire) next() error {
	head, size, op, err := w.peek()
	if err != nil {
		return err
	}
	w.mu.Lock()
	sink, room := w.sink, w.room
	if op != tagEntry {
		w.room -= size
	}
	w.mu.Unlock()
	switch {
	case op != tagEntry && size > room:
		return errTooMuch
	case op != tagEntry:
		w.rest = size
		return nil
	case sink == nil: // of a search that was given up
		_, err := w.r.Discard(size)
		return err
	}
	if _, err := w.r.Discard(head); err != nil {
		return err
	}
	d := &decoder{r: w.r, left: size - head, budget: maxEntry, lender: w.buffers}
	e, err := d.entry()
	if err != nil {
		return err
	}
	return w.give(e)
}

// peek looks at the beginning of a message: the length up to its protocolOp, its
// length in all, and the tag of that protocolOp.
func (w *wire) peek() (head, size int, op byte, err error) {
	b, err := w.r.Peek(2)
	if err != nil {
		return 0, 0, 0, err
	}
	if b[1]&0x80 != 0 {
		if b, err = w.r.Peek(2 + int(b[1]&0x7f)); err != nil {
			return 0, 0, 0, err
		}
	}
	n, width, ok := berLength(b[1:])
	if !ok || b[0] != 0x30 || n < 4 { // LDAPMessage ::= SEQUENCE { messageID INTEGER, protocolOp … }
		return 0, 0, 0, errMalformed
	}
	head = 1 + width
	size = head + n
	if b, err = w.r.Peek(head + 2); err != nil {
		return 0, 0, 0, err
	}
	id := int(b[head+1]) // the length of a messageID: 1 to 4
	if b[head] != 0x02 || id < 1 || id > 4 || id+3 > n {
		return 0, 0, 0, errMalformed
	}
	head += 2 + id
	if b, err = w.r.Peek(head + 1); err != nil {
		return 0, 0, 0, err
	}
	return head, size, b[head], nil
}

// rawReader reads from the connection of a wire, and not forever.
type rawReader struct{ w *wire }

func (r rawReader) Read(p []byte) (int, error) {
	w := r.w
	w.mu.Lock()
	if w.waiting {
		w.Conn.SetReadDeadline(time.Now().Add(w.idle))
	}
	w.mu.Unlock()
	n, err := w.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = &problem{text: fmt.Sprintf("no answer for %s", w.idle), hint: "the server is there and does not answer: look at its load, or raise idle_timeout"}
	}
	return n, err
}
