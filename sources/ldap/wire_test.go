package ldap

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
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
	w := newWire(client, time.Minute)
	w.begin(func(e *entry) error {
		e.attributes = bytes.Clone(e.attributes)
		es = append(es, e)
		return nil
	})
	defer client.Close()
	rest, err = io.ReadAll(w)
	if n, again := w.Read(make([]byte, 10)); err != nil && (n > 0 || again == nil) {
		panic("what was refused is read after the error")
	}
	return es, rest, err
}

// Who gave a search up may close what the sink writes to: the sink has no entry then,
// and gets no other.
func TestSinkEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		w := newWire(client, time.Hour)
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
				var values []string
				for range rapid.IntRange(0, 3).Draw(t, "values") {
					n := rapid.SampledFrom([]int{0, 1, 127, 128, 255, 256, 5000, 70_000}).Draw(t, "size")
					values = append(values, strings.Repeat(string(rune(n%128)), n))
				}
				e.attributes = append(e.attributes, attribute(rapid.StringMatching(`[a-zA-Z]{1,8}`).Draw(t, "name"), values...)...)
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

// decoded is an entry as go-ldap's decoder sees it; nil: as none.
func decoded(message []byte) *entry {
	p, err := ber.DecodePacketErr(message)
	if err != nil || len(p.Children) < 2 || len(p.Children[1].Children) < 2 {
		return nil
	}
	op := p.Children[1]
	e := &entry{dn: op.Children[0].Data.String()}
	for _, a := range op.Children[1].Children {
		if len(a.Children) < 2 {
			return nil
		}
		var values []string
		for _, v := range a.Children[1].Children {
			values = append(values, v.Data.String())
		}
		e.attributes = append(e.attributes, attribute(a.Children[0].Data.String(), values...)...)
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
			op, size, ok := messageHead(b)
			if !ok || size > len(b) {
				t.Fatalf("%d entries where no message is", len(es))
			}
			message := b[:size]
			if b = b[size:]; message[op] != tagEntry {
				continue
			}
			if want := decoded(message); want != nil && !bytes.Equal(want.message(1), shortest(es[0]).message(1)) {
				t.Fatalf("entry %+v, want %+v", es[0], want)
			}
			es = es[1:]
		}
	})
}

// shortest has the lengths of elements in their shortest form.
func shortest(e *entry) *entry {
	c := &entry{dn: e.dn}
	for list := e.attributes; len(list) > 0; {
		pair, rest, _ := element(list, tagSequence)
		name, values, _ := element(pair, tagOctets)
		set, _, _ := element(values, tagSet)
		var vs []string
		for len(set) > 0 {
			v, more, _ := element(set, tagOctets)
			vs, set = append(vs, string(v)), more
		}
		c.attributes, list = append(c.attributes, attribute(string(name), vs...)...), rest
	}
	return c
}

// A value that is too large for a photo is known to be one, and so is an entry that is too
// large to be read. Neither ends the search.
func TestTooLarge(t *testing.T) {
	s := &Source{o: Options{PhotoAttributes: []string{"jpegPhoto"}, EmailAttributes: []string{"mail"}}, now: time.Now}
	ref := sources.Ref{Name: "cn=x", Key: "k", Mark: "m"}
	big := strings.Repeat("x", sources.MaxPhotoBytes+1)
	huge := made("cn=x", "mail", "a@example.com", "jpegPhoto", big, "jpegPhoto", big, "jpegPhoto", big, "jpegPhoto", big)
	many := &entry{dn: "cn=x", attributes: attribute("mail", make([]string, maxValues+1)...)}
	for name, c := range map[string]struct {
		e     *entry
		photo string
		left  string
		moved bool
	}{
		"a value":   {made("cn=x", "mail", "a@example.com", "jpegPhoto", big), "16777217 bytes, 16777216 are read at most", "", true},
		"an entry":  {huge, "the whole entry has", "the entry is larger than is read at most", false},
		"of values": {many, "the whole entry has", "the entry is larger than is read at most", false},
	} {
		es, _, err := readWire(append(c.e.message(1), made("cn=y").message(1)...))
		if err != nil || len(es) != 2 || es[0].dn != "cn=x" || es[1].dn != "cn=y" {
			t.Fatalf("%s: %d entries, error %v", name, len(es), err)
		}
		p := s.photo(es[0], ref, server{})
		if !errors.Is(p.Err, sources.ErrTooLarge) || !strings.Contains(p.Err.Error(), c.photo) || p.Data != nil || p.Moved != c.moved || c.left != "" && p.Emails != nil {
			t.Errorf("%s: photo %v, moved %v, addresses %q", name, p.Err, p.Moved, p.Emails)
		}
		if _, why := s.person(es[0], server{}, time.Now()); why != c.left {
			t.Errorf("%s: left out because %q, want %q", name, why, c.left)
		}
	}
}

// A group with more members than are read is an error: a part of it would leave people out.
func TestGroupIsTooLarge(t *testing.T) {
	near, far := net.Pipe()
	w := newWire(near, time.Minute)
	c := &conn{Conn: ldap.NewConn(w, false), wire: w}
	c.Start()
	var server sync.WaitGroup
	server.Go(func() {
		ber.ReadPacket(far)
		group := &entry{dn: "cn=all", attributes: attribute("member", make([]string, maxValues+1)...)}
		far.Write(append(group.message(1), result(1, ldap.ApplicationSearchResultDone, 0).Bytes()...))
	})
	_, err := c.read(t.Context(), "cn=all", anything, "member")
	if err == nil || !isFinal(err) || !strings.Contains(err.Error(), `"cn=all" is too large to be read`) {
		t.Errorf("error %v", err)
	}
	c.Close()
	far.Close()
	server.Wait()
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
				w := newWire(near, idle)
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
	w := newWire(broken{near}, time.Minute)
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
	id := []byte{0x02, 0x01, 0x01}
	reference := bytes.Repeat(tlv(tagSequence, id, tlv(0x73, tlv(tagOctets, []byte("x")))), 200_000)
	if _, rest, err := readWire(reference); !errors.Is(err, errTooMuch) || len(rest) > maxRest {
		t.Errorf("two hundred thousand references: %d bytes for go-ldap, error %v", len(rest), err)
	}
	claim := []byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02, 0x01, 0x01, tagEntry, 0x84, 0x7f, 0xff, 0xff, 0xf0, 0x04, 0x01, 'x', 0x30} // two gigabytes
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if es, _, _ := readWire(claim); len(es) > 0 {
		t.Errorf("an entry that is not there: %+v", es[0])
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > maxRest {
		t.Errorf("an entry that is not there took %d bytes", after.TotalAlloc-before.TotalAlloc)
	}
}
