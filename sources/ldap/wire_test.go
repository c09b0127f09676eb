package ldap

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"

	"photosync/sources"
)

// read lets a wire read bytes to their end and returns the entries and what is
// left to go-ldap.
func readWire(b []byte) (es []*entry, rest []byte, err error) {
	client, server := net.Pipe()
	go func() {
		server.Write(b)
		server.Close()
	}()
	w := newWire(client, time.Minute, new(sources.Buffers))
	w.begin(func(e *entry) error {
		es = append(es, e)
		return nil
	})
	defer client.Close()
	rest, err = io.ReadAll(w)
	return es, rest, err
}

// Who gave a search up may close what the sink writes to: the sink has no entry then,
// and gets no other.
func TestSinkEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		w := newWire(client, time.Hour, new(sources.Buffers))
		at, values := make(chan bool), make(chan bool)
		w.begin(func(*entry) error {
			at <- true
			time.Sleep(time.Second)
			values <- true // panics when it is closed
			return nil
		})
		go io.Copy(io.Discard, w)
		go func() {
			m := (&entry{dn: "cn=a"}).message(7)
			server.Write(bytes.Repeat(m, 2))
		}()
		<-at
		go func() {
			w.end()
			close(values)
		}()
		time.Sleep(2 * time.Second) // as long as a sink that waits for room
		for range values {
		}
		synctest.Wait()
		client.Close()
		server.Close()
	})
}

// What is sent arrives: entries as they are, everything else untouched.
func TestWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sent []*entry
		var stream, others []byte
		for range rapid.IntRange(0, 6).Draw(t, "messages") {
			if rapid.Bool().Draw(t, "other") {
				m := result(rapid.Int64Range(0, 1<<31-1).Draw(t, "id"), ldap.ApplicationSearchResultDone, 0).Bytes()
				stream, others = append(stream, m...), append(others, m...)
				continue
			}
			e := &entry{dn: rapid.String().Draw(t, "dn")}
			for range rapid.IntRange(0, 4).Draw(t, "attributes") {
				a := attribute{name: rapid.StringMatching(`[a-zA-Z]{1,8}`).Draw(t, "name")}
				for range rapid.IntRange(0, 3).Draw(t, "values") {
					n := rapid.SampledFrom([]int{0, 1, 127, 128, 255, 256, 5000, 70_000}).Draw(t, "size")
					a.values = append(a.values, bytes.Repeat([]byte{byte(n)}, n))
				}
				e.attrs = append(e.attrs, a)
			}
			sent = append(sent, e)
			stream = append(stream, e.message(7)...)
		}
		got, rest, err := readWire(stream)
		if err != nil || !bytes.Equal(rest, others) || len(got) != len(sent) {
			t.Fatalf("%d entries, want %d; %d other bytes, want %d; error %v", len(got), len(sent), len(rest), len(others), err)
		}
		for i := range sent {
			if !bytes.Equal(got[i].message(7), sent[i].message(7)) {
				t.Fatalf("entry %q is not what was sent", sent[i].dn)
			}
		}
	})
}

// tlv takes the first BER element off b; the content is nil if there is none.
func tlv(b []byte) (tag byte, content, rest []byte) {
	if len(b) < 2 {
		return 0, nil, nil
	}
	n, width, ok := berLength(b[1:])
	if !ok || n > len(b)-1-width {
		return 0, nil, nil
	}
	return b[0], b[1+width:][:n:n], b[1+width+n:]
}

// entryOf decodes one LDAPMessage that lies in memory as a whole: slower than the
// decoder, and plain. nil: it is no entry, or a malformed one.
func entryOf(message []byte) *entry {
	_, _, op := tlv(message) // after the messageID
	tag, op, _ := tlv(op)
	dnTag, dn, list := tlv(op)
	listTag, list, _ := tlv(list)
	if tag != tagEntry || dnTag != 0x04 || dn == nil || listTag != 0x30 || list == nil {
		return nil
	}
	e := &entry{dn: string(dn)}
	for len(list) > 0 {
		var pair []byte
		tag, pair, list = tlv(list)
		nameTag, name, set := tlv(pair)
		setTag, set, _ := tlv(set)
		if tag != 0x30 || nameTag != 0x04 || name == nil || setTag != 0x31 || set == nil {
			return nil
		}
		var a attribute
		a.name, a.options, _ = strings.Cut(string(name), ";")
		for len(set) > 0 {
			var v []byte
			if tag, v, set = tlv(set); tag != 0x04 || v == nil {
				return nil
			}
			a.values = append(a.values, v)
		}
		e.attrs = append(e.attrs, a)
	}
	return e
}

// Whatever bytes come, an entry is what stands there: no element ends after the one
// that holds it.
func FuzzWire(f *testing.F) {
	e := made("cn=x", "mail;lang-de", "a@example.com", "jpegPhoto", strings.Repeat("x", 300), "empty", "")
	f.Add(e.message(1))
	f.Add(append(e.message(1<<20), result(1, ldap.ApplicationSearchResultDone, 0).Bytes()...))
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x02, 0x01, 0x01, 0x64})
	f.Add([]byte{0x30, 0x80, 0x02, 0x01, 0x01, 0x64, 0x00, 0x00})
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add([]byte{0x16, 0x03, 0x01, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		es, _, _ := readWire(b)
		for len(es) > 0 {
			_, message, rest := tlv(b)
			if message == nil {
				t.Fatalf("%d entries where no message is", len(es))
			}
			b = rest
			if _, _, op := tlv(message); len(op) == 0 || op[0] != tagEntry {
				continue
			}
			want := entryOf(message)
			if want == nil || !bytes.Equal(want.message(1), es[0].message(1)) {
				t.Fatalf("entry %+v, want %+v", es[0], want)
			}
			es = es[1:]
		}
	})
}

// A value that is too large for a photo is not held, and its size is known.
func TestWireDropsWhatIsTooLarge(t *testing.T) {
	big := strings.Repeat("x", sources.MaxPhotoBytes+1)
	es, _, err := readWire(made("cn=x", "jpegPhoto", big, "mail", "a@example.com").message(1))
	if err != nil || len(es) != 1 || es[0].text("mail") != "a@example.com" || es[0].values("jpegPhoto") != nil || es[0].attrs[0].dropped != len(big) {
		t.Errorf("%d entries, error %v", len(es), err)
	}
}

// Silence ends a wait, and slowness on either side does not.
func TestWireWaits(t *testing.T) {
	const idle = time.Minute
	for name, c := range map[string]struct {
		server, client time.Duration // before each entry, after each entry
		fails          bool
	}{
		"a slow server": {idle - time.Second, 0, false}, "a slow client": {0, 10 * idle, false}, "a silent server": {idle + time.Second, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				w := newWire(near, idle, new(sources.Buffers))
				conn := &conn{Conn: ldap.NewConn(w, false), wire: w}
				conn.Start()
				time.Sleep(3 * idle) // at rest, silence means nothing
				var server sync.WaitGroup
				server.Go(func() {
					ber.ReadPacket(far)
					for range 5 {
						time.Sleep(c.server)
						far.Write(made("cn=x").message(1))
					}
					far.Write(result(1, ldap.ApplicationSearchResultDone, 0).Bytes())
				})
				n := 0
				_, err := conn.search(t.Context(), request("", ldap.ScopeBaseObject, "(a=b)", nil), func(*entry) error {
					n++
					time.Sleep(c.client)
					return nil
				})
				if _, silent := errors.AsType[*problem](err); silent != c.fails || !c.fails && (err != nil || n != 5) {
					t.Errorf("%d entries, error %v", n, err)
				}
				conn.Close()
				far.Close()
				server.Wait()
			})
		})
	}
}

// broken is a connection that takes nothing any more.
type broken struct{ net.Conn }

func (broken) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
}

// A server that hangs up before it was asked gives a hint, whichever side sees it first.
func TestWireIsBroken(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	w := newWire(broken{near}, time.Minute, new(sources.Buffers))
	conn := &conn{Conn: ldap.NewConn(w, false), wire: w}
	conn.Start()
	defer conn.Close()
	err := conn.do(t.Context(), nil, func() error { return conn.Bind("cn=x", "x") })
	alert := &Error{"bind", "ldaps://dc1", &net.OpError{Op: "remote error", Err: tls.AlertError(116)}}
	if h := alert.Hint(); !strings.Contains(h, "tls.cert_file") {
		t.Errorf("%v: hint %q", alert, h)
	}
	if h := (&Error{"bind", "ldaps://dc1", err}).Hint(); !errors.Is(err, syscall.EPIPE) || !strings.Contains(h, "hung up") {
		t.Errorf("error %v, hint %q", err, h)
	}
}

// Whoever is at the other end, before it has proved to be the server and after: what
// it sends takes a bounded amount of memory.
func TestBounds(t *testing.T) {
	t.Run("StartTLS", func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		taken := make(chan int)
		go func() {
			ber.ReadPacket(far)
			n, _ := far.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x04, 0x84, 0x7f, 0xff, 0xff, 0xf0}) // two gigabytes
			for more := 1; more > 0; n += more {
				more, _ = far.Write(make([]byte, 1<<10))
			}
			taken <- n
		}()
		err := startTLS(t.Context(), near)
		near.Close()
		if n := <-taken; err == nil || n > 2*maxStartTLS {
			t.Errorf("%d bytes were taken, error %v", n, err)
		}
	})
	attributes := bytes.Repeat([]byte{0x30, 0x04, 0x04, 0x00, 0x31, 0x00}, 1_000_000)
	values := bytes.Repeat([]byte{0x04, 0x00}, 4_000_000)
	element := func(tag byte, content ...[]byte) []byte {
		b := bytes.Join(content, nil)
		return append([]byte{tag, 0x83, byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...)
	}
	id, name := []byte{0x02, 0x01, 0x01}, []byte{0x04, 0x01, 'x'}
	if _, _, err := readWire(element(0x30, id, element(tagEntry, name, element(0x30, attributes)))); !errors.Is(err, errTooMuch) {
		t.Errorf("an entry of a million attributes: %v", err)
	}
	es, _, err := readWire(element(0x30, id, element(tagEntry, name, element(0x30, element(0x30, name, element(0x31, values))))))
	if err != nil || len(es) != 1 || len(es[0].values("x")) > maxEntry/valueCost || es[0].attrs[0].dropped == 0 {
		t.Errorf("an entry of four million values: %d entries, error %v", len(es), err)
	}
	reference := bytes.Repeat(element(0x30, id, element(0x73, name)), 100_000)
	if _, rest, err := readWire(reference); !errors.Is(err, errTooMuch) || len(rest) > maxRest {
		t.Errorf("a hundred thousand references: %d bytes for go-ldap, error %v", len(rest), err)
	}
}
