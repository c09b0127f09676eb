package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"photosync/sources/ldap/slapdtest"
)

// largePNG is a picture of about 9 MB: noise cannot be compressed.
func largePNG(t *testing.T) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 1740, 1740))
	r := rand.New(rand.NewPCG(1, 1))
	for i := range img.Pix {
		img.Pix[i] = byte(r.Uint32())
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every odd entry of a directory has its line in the report.
func TestOddEntries(t *testing.T) {
	large := largePNG(t)
	if len(large) < 9_000_000 {
		t.Fatalf("the large picture has %d bytes", len(large))
	}
	ldif := slapdtest.Entry("good", email(0), picture(1)) + slapdtest.Entry("nomail", "", picture(2)) +
		slapdtest.Entry("one", email(1), picture(3)) + slapdtest.Entry("other", strings.ToUpper(email(1)), picture(4)) +
		slapdtest.Entry("p0", email(2), picture(5)) + slapdtest.Entry("p1", email(3), []byte{0}) +
		slapdtest.Entry("p3", email(4), []byte("\xff\xd8\xff")) + slapdtest.Entry("large", email(5), large) +
		slapdtest.Entry("nophoto", email(6), nil) + slapdtest.Entry("hidden", email(7), picture(6)) +
		"dn: ou=elsewhere," + slapdtest.BaseDN + "\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nref: ldap://127.0.0.1:1/ou=x\n\n"
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: ldif, Access: "access to dn.exact=\"uid=hidden," + slapdtest.BaseDN + "\" attrs=jpegPhoto by * none\n"})
	srv.Modify("p0", "jpegPhoto", nil) // LDIF files have no way to write a value of 0 bytes
	s := newSite(t, users(8), strings.Replace(ldapSource(srv), slapdtest.BindDN, slapdtest.ReaderDN, 1))
	r := s.run(exitAttention, "sync")
	got := map[string]string{}
	for _, it := range r.Items {
		got[it.Email] = strings.TrimSpace(string(it.Reason) + " " + string(it.Outcome) + " " + it.Code)
		if it.Outcome == "failed" && (it.Message == "" || it.Hint == "") {
			t.Errorf("%s has the message %q and the hint %q", it.Email, it.Message, it.Hint)
		}
	}
	want := map[string]string{
		email(0): "new uploaded", email(1): "ambiguous skipped", email(2): "invalid_image failed empty",
		email(3): "invalid_image failed not_an_image", email(4): "invalid_image failed truncated", email(5): "new uploaded",
		email(6): "no_photo skipped", email(7): "photo_hidden skipped",
	}
	for e, w := range want {
		if got[e] != w && !(w == "no_photo skipped" && got[e] == "") { // people without a photo are counted
			t.Errorf("%s: %q, want %q", e, got[e], w)
		}
	}
	if r.SkippedByReason["no_photo"] != 1 {
		t.Errorf("skipped %v, want one without a photo", r.SkippedByReason)
	}
	warnings := strings.Join(r.Sources[1].Warnings, "\n")
	for _, w := range []string{"1 entry left out: no email address", "1 entry left out: a referral to another server"} {
		if !strings.Contains(warnings, w) {
			t.Errorf("warnings %q, want %q among them", warnings, w)
		}
	}
	if img, ok := s.sim.Image(email(5)); !ok || len(img.Data) > 1_000_000 {
		t.Errorf("the large picture arrived with %d bytes", len(img.Data))
	}
}

// Whatever is wrong with a directory fails the run with a line that says what and
// one that says what to do; nothing is uploaded.
func TestDirectoryFails(t *testing.T) {
	var ldif strings.Builder
	for i := range 600 {
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("u%03d", i), email(i), picture(i)))
	}
	limited := slapdtest.Start(t, slapdtest.Config{LDIF: ldif.String(), Limits: "size.soft=500 size.hard=500 size.prtotal=500"})
	expired := slapdtest.Start(t, slapdtest.Config{Expired: true})
	secure := func(srv *slapdtest.Server, caFile string) string {
		return fmt.Sprintf("  - {name: ad, type: ldap, urls: [%q], bind_dn: %q, base_dn: %q, tls: {ca_file: %q}}\n", srv.LDAPSURL, slapdtest.BindDN, slapdtest.BaseDN, caFile)
	}
	for name, c := range map[string]struct{ source, text, hint string }{
		"a size limit of 500":    {strings.Replace(ldapSource(limited), slapdtest.BindDN, slapdtest.ReaderDN, 1), "Size Limit Exceeded", "size limit cuts the listing"},
		"a wrong authority":      {secure(limited, expired.CAFile), "unknown authority", "tls.ca_file"},
		"an expired certificate": {secure(expired, expired.CAFile), "expired", "not valid now: renew it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, users(3), c.source)
			r := s.run(exitFailed, "sync")
			if r.Error == nil || !strings.Contains(r.Error.Message, c.text) || !strings.Contains(r.Error.Hint, c.hint) {
				t.Errorf("error %+v, want %q and the hint %q", r.Error, c.text, c.hint)
			}
			if r.Sources[1].Complete || s.sim.Counts().Accepted != 0 {
				t.Errorf("source %+v, %d uploads", r.Sources[1], s.sim.Counts().Accepted)
			}
		})
	}
}

// People who are missing from a listing that a size limit cut are not taken for
// removed, and such runs do not count towards that.
func TestCutListingRemovesNobody(t *testing.T) {
	var ldif strings.Builder
	for i := range 35 {
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("p%05d", i), email(i), picture(itself(i))))
	}
	whole, rest := directory(t, 40, itself), slapdtest.Start(t, slapdtest.Config{LDIF: ldif.String()})
	limited := slapdtest.Start(t, slapdtest.Config{LDIF: ldif.String(), Limits: "size.soft=20 size.hard=20 size.prtotal=20"})
	s := newSite(t, users(40), strings.Replace(ldapSource(whole), slapdtest.BindDN, slapdtest.ReaderDN, 1)+
		"policy: {removed: placeholder, removed_after: 2}\nguard: {max_removed: 100%, min_listed: 1%}\n")
	s.run(exitDone, "sync")
	s.turnTo(whole, limited)
	for range 3 {
		if r := s.run(exitFailed, "sync"); len(r.Items) > 0 || r.Sources[1].Complete || s.sim.Counts().Accepted != 40 {
			t.Errorf("cut: items %+v, source %+v, %d uploads", r.Items, r.Sources[1], s.sim.Counts().Accepted)
		}
	}
	s.turnTo(limited, rest)
	if r := s.run(exitDone, "sync"); r.SkippedByReason["no_photo"] != 5 || !strings.Contains(r.Items[0].Message, "1 of 2 complete runs") {
		t.Errorf("the first complete run: skipped %v, items %+v", r.SkippedByReason, r.Items)
	}
	if r := s.run(exitDone, "sync"); r.Totals.Uploaded != 5 || r.Items[0].Reason != "placeholder" {
		t.Errorf("the second: totals %+v, items %+v", r.Totals, r.Items)
	}
}

// cut is the way to a server, which is lost once in the middle of an answer, and
// for good if it is told so.
type cut struct {
	l       net.Listener
	forGood bool
	done    sync.Once
}

// newCut cuts the way to a server after it sent so many bytes.
func newCut(t *testing.T, srv *slapdtest.Server, after int64, forGood bool) *cut {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cut{l: l, forGood: forGood}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { c.pass(near, strings.TrimPrefix(srv.URL, "ldap://"), after) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return c
}

func (c *cut) pass(near net.Conn, addr string, after int64) {
	defer near.Close()
	far, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		io.Copy(far, near)
		far.Close() // the client is gone: slapd would wait for its next request
	}()
	io.CopyN(near, far, after)
	lost := false
	c.done.Do(func() { lost = true })
	if lost {
		if c.forGood {
			c.l.Close()
		}
		return
	}
	io.Copy(near, far)
}

// A server that is lost in mid-listing: restarted or replaced by the second one, it
// costs nothing; gone for good, nothing is uploaded.
func TestServerLostInMidListing(t *testing.T) {
	const n = 300
	srv := directory(t, n, func(i int) int { return i })
	for name, c := range map[string]struct {
		forGood, second bool
		exit            int
	}{
		"restarted": {false, false, exitDone}, "replaced by its second": {true, true, exitDone}, "stopped": {true, false, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			urls := fmt.Sprintf("%q", "ldap://"+newCut(t, srv, 20_000, c.forGood).l.Addr().String())
			if c.second {
				urls += fmt.Sprintf(", %q", srv.URL)
			}
			s := newSite(t, users(n), strings.Replace(ldapSource(srv), fmt.Sprintf("%q", srv.URL), urls, 1))
			r := s.run(c.exit, "sync")
			if !strings.Contains(strings.Join(r.Sources[1].Warnings, "\n"), " was lost after ") {
				t.Errorf("warnings %q, want one of the server that was lost", r.Sources[1].Warnings)
			}
			if c.exit == exitDone && (r.Totals.Uploaded != n || r.Sources[1].Listed != n || !r.Sources[1].Complete) {
				t.Errorf("totals %+v, source %+v", r.Totals, r.Sources[1])
			}
			if c.exit == exitFailed && (s.sim.Counts().Accepted != 0 || r.Sources[1].Complete || r.Error == nil || r.Error.Hint == "") {
				t.Errorf("%d uploads, source %+v, error %+v", s.sim.Counts().Accepted, r.Sources[1], r.Error)
			}
		})
	}
}

// meter is the way to a server; it counts what the server sends.
type meter struct {
	url  string
	sent atomic.Int64
}

func newMeter(t *testing.T, srv *slapdtest.Server) *meter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{url: "ldap://" + l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer near.Close()
				far, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "ldap://"))
				if err != nil {
					return
				}
				go func() { io.Copy(far, near); far.Close() }()
				io.Copy(io.MultiWriter(m, near), far)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return m
}

func (m *meter) Write(p []byte) (int, error) {
	m.sent.Add(int64(len(p)))
	return len(p), nil
}

// A night without changes moves no photo over the network, and one in which 1 % of
// the photos changed moves those.
func TestPhotosMoveOnlyWhenTheyChanged(t *testing.T) {
	const n = 200
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: large(n)})
	m := newMeter(t, srv)
	s := newSite(t, users(n), strings.Replace(ldapSource(srv), srv.URL, m.url, 1))
	night := func(uploads int) int {
		t.Helper()
		m.sent.Store(0)
		if r := s.run(exitDone, "sync"); r.Totals.Uploaded != uploads {
			t.Fatalf("totals %+v, want %d uploads", r.Totals, uploads)
		}
		return int(m.sent.Load())
	}
	size := len(largePhoto(0, 20))
	night(n)
	quiet := night(0)
	if quiet > n*500 {
		t.Errorf("a night without changes moves %d bytes for %d people", quiet, n)
	}
	for i := range n / 100 {
		srv.Modify(fmt.Sprintf("p%05d", i), "jpegPhoto", largePhoto(1000+i, 20))
	}
	// Each is read once to be compared, and once to be sent.
	if more, least := night(n/100)-quiet, n/100*size; more < least || more > 2*least+n/100*1000 {
		t.Errorf("two changed photos of %d bytes move %d", size, more)
	}
}

// explain shows what the directory holds of a person.
func TestExplainDirectory(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: slapdtest.Entry("ann", email(0), picture(1))})
	s := newSite(t, users(1), ldapSource(srv))
	var out, errs bytes.Buffer
	env := func(name string) string {
		return map[string]string{"SMARTSHEET_ACCESS_TOKEN": token, "LDAP_BIND_PASSWORD": slapdtest.Password}[name]
	}
	if code := run(t.Context(), []string{"explain", email(0), "--config", s.conf}, env, &out, &errs); code != exitDone {
		t.Fatalf("exit %d\n%s\n%s", code, out.String(), errs.String())
	}
	for _, w := range []string{
		"dn          uid=ann,", "key         entryUUID=", "mail        " + email(0), "jpegPhoto   ", "image/png, taken", "csn=",
	} {
		if !strings.Contains(out.String(), w) {
			t.Errorf("printed %s\nwant %q in it", out.String(), w)
		}
	}
	if strings.Contains(out.String(), slapdtest.Password) {
		t.Error("the password is printed")
	}
}
