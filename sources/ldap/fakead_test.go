package ldap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// controller is a domain controller as far as a listing sees one. It answers as
// Samba 4.17 and the documentation of Active Directory do: object GUIDs,
// replPropertyMetaData, uSNChanged, pages with a cookie, referrals at the domain's
// root unless they are suppressed, groups in groups, and filters with three values.
type controller struct {
	t *testing.T
	l net.Listener

	mu         sync.Mutex
	number     byte // in its name
	invocation byte // of its database
	usn        uint64
	people     []*person
	noMetaData bool              // replPropertyMetaData may not be read
	hidden     map[string]bool   // DNs whose photo may not be read
	lose       int               // searches until the connection is lost; 0: never
	silent     bool              // searches are not answered
	unscoped   bool              // searches that are not paged are referred elsewhere, though that was not wanted
	code       int64             // of the result of a search, after its entries
	groups     map[string]string // member to group
	numbers    map[string]uint32 // of groups: the last part of their objectSid
	searches   []string          // filters asked with
	maxPage    int               // the most entries of a page; 0: any
	forgets    int               // how many cookies are not known any more
	loses      bool              // it is not Active Directory, and all pages but the first come without the control
	garble     func([]byte) []byte
	conns      map[net.Conn]bool
}

type person struct {
	dn, mail string
	proxies  []string // proxyAddresses: a server gives 1500 at a time
	primary  uint32   // primaryGroupID: the number of a group
	guid     byte
	photo    []byte // nil: none
	records  map[uint32]record
	changed  uint64
}

const domain = "DC=ad,DC=test"

func newController(t *testing.T, invocation byte) *controller {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &controller{t: t, l: l, number: invocation, invocation: invocation, usn: 1000 * uint64(invocation), hidden: map[string]bool{}, groups: map[string]string{}, numbers: map[string]uint32{}, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.conns[c] = true
			d.mu.Unlock()
			wg.Go(func() { d.serve(c) })
		}
	})
	t.Cleanup(func() { d.stop(); wg.Wait() })
	return d
}

// stop is a controller that is switched off.
func (d *controller) stop() {
	d.l.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.Close()
	}
}

func (d *controller) url() string { return "ldap://" + d.l.Addr().String() }

// set changes a person's photo, or, with photo false, something else. A person who
// is not there is made.
func (d *controller) set(name string, data []byte, photo bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.people, func(p *person) bool { return p.mail == name+"@ad.test" })
	if i < 0 {
		i = len(d.people)
		d.people = append(d.people, &person{dn: "CN=" + name + ",CN=Users," + domain, mail: name + "@ad.test", guid: name[len(name)-1], records: map[uint32]record{}})
	}
	p := d.people[i]
	d.usn++
	p.changed = d.usn
	id := uint32(phone)
	if photo {
		id, p.photo = thumbnail, data
	}
	p.records[id] = record{p.records[id].version + 1, [16]byte{d.invocation}, d.usn}
}

// replicate makes other have what d has, with the other's own USNs.
func (d *controller) replicate(other *controller) {
	other.people = nil
	for _, p := range d.people {
		q := *p
		other.usn++
		q.changed, q.records = other.usn, maps.Clone(p.records)
		other.people = append(other.people, &q)
	}
}

func (d *controller) serve(c net.Conn) {
	defer c.Close()
	for {
		p, err := ber.ReadPacket(c)
		if err != nil || len(p.Children) < 2 {
			return
		}
		id, op := p.Children[0].Value.(int64), p.Children[1]
		switch op.Tag {
		case ldap.ApplicationBindRequest:
			d.mu.Lock()
			answer := d.garbled(result(id, ldap.ApplicationBindResponse, 0).Bytes())
			d.mu.Unlock()
			c.Write(answer)
		case ldap.ApplicationSearchRequest:
			if !d.search(c, id, op, p) {
				return
			}
		default:
			return
		}
	}
}

// garbled is an answer as it goes over the wire.
func (d *controller) garbled(b []byte) []byte {
	if d.garble == nil {
		return b
	}
	return d.garble(b)
}

func result(id int64, op ber.Tag, code int64) *ber.Packet {
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, op, nil, "")
	r.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	m.AppendChild(r)
	return m
}

// search answers one search; false: the connection is lost instead.
func (d *controller) search(c net.Conn, id int64, op, message *ber.Packet) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	base, scope, filter := op.Children[0].Value.(string), op.Children[1].Value.(int64), op.Children[6]
	if d.silent && base == domain {
		return true
	}
	if d.lose > 0 && base == domain {
		if d.lose--; d.lose == 0 {
			return false
		}
	}
	text, _ := ldap.DecompileFilter(filter)
	d.searches = append(d.searches, text)
	var out bytes.Buffer
	done := result(id, ldap.ApplicationSearchResultDone, 0)
	switch {
	case base == "":
		out.Write(made("", d.root()...).message(uint32(id)))
	case strings.HasPrefix(base, "CN=NTDS"):
		out.Write(made(base, "invocationId", string(bytes.Repeat([]byte{d.invocation}, 16))).message(uint32(id)))
	case strings.HasPrefix(base, "CN=Aggregate"):
		out.Write(made(base, "attributeTypes", "( 2.16.840.1.113730.3.1.35 NAME 'thumbnailPhoto' SYNTAX '1.3.6.1.4.1.1466.115.121.1.40' SINGLE-VALUE )").message(uint32(id)))
	case base == domain && strings.Contains(text, "(objectClass=group)"):
		for dn := range d.numbers {
			if d.matches(&person{dn: dn}, filter) == yes {
				out.Write(d.groupEntry(dn).message(uint32(id)))
			}
		}
		withCookie(done, "")
	case base == domain:
		done = d.listed(&out, id, filter, op, message)
	case scope == ldap.ScopeBaseObject && strings.HasPrefix(base, "CN=group"):
		out.Write(d.groupEntry(base).message(uint32(id)))
	case scope == ldap.ScopeBaseObject && d.person(base) != nil:
		out.Write(d.entry(d.person(base), names(op)).message(uint32(id)))
	default:
		done = result(id, ldap.ApplicationSearchResultDone, ldap.LDAPResultNoSuchObject)
	}
	out.Write(done.Bytes())
	c.Write(d.garbled(out.Bytes()))
	return true
}

func (d *controller) person(dn string) *person {
	i := slices.IndexFunc(d.people, func(p *person) bool { return p.dn == dn })
	if i < 0 {
		return nil
	}
	return d.people[i]
}

// names are the attributes that a search asks for.
func names(op *ber.Packet) (wanted []string) {
	for _, a := range op.Children[7].Children {
		wanted = append(wanted, a.Value.(string))
	}
	return wanted
}

func (d *controller) groupEntry(dn string) *entry {
	if d.numbers[dn] == 0 {
		return made(dn)
	}
	sid := "\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00" + strings.Repeat("\x07", 12)
	return made(dn, "objectSid", string(binary.LittleEndian.AppendUint32([]byte(sid), d.numbers[dn])))
}

func (d *controller) root() []string {
	return []string{
		"supportedCapabilities", map[bool]string{true: "1.2", false: activeDirectory}[d.loses], "supportedControl", ldap.ControlTypeMicrosoftDomainScope, "supportedControl", ldap.ControlTypePaging,
		"namingContexts", domain, "namingContexts", "CN=Configuration," + domain,
		"subschemaSubentry", "CN=Aggregate,CN=Schema," + domain, "dsServiceName", fmt.Sprintf("CN=NTDS Settings,CN=DC%d,%s", d.number, domain),
	}
}

// listed writes a page of people. The cookie is the place of the next one.
func (d *controller) listed(out *bytes.Buffer, id int64, filter, op, message *ber.Packet) *ber.Packet {
	var paging *ldap.ControlPaging
	scoped := false
	if len(message.Children) > 2 {
		for _, child := range message.Children[2].Children {
			ctl, err := ldap.DecodeControl(child)
			if p, ok := ctl.(*ldap.ControlPaging); ok && err == nil {
				paging = p
			}
			scoped = scoped || err == nil && ctl.GetControlType() == ldap.ControlTypeMicrosoftDomainScope
		}
	}
	from, size := 0, len(d.people)
	if paging != nil {
		if d.forgets > 0 && len(paging.Cookie) > 0 {
			d.forgets--
			return result(id, ldap.ApplicationSearchResultDone, ldap.LDAPResultUnavailableCriticalExtension)
		}
		fmt.Sscan(string(paging.Cookie), &from)
		if size = int(paging.PagingSize); d.maxPage > 0 {
			size = min(size, d.maxPage)
		}
	}
	wanted := names(op)
	to := min(from+size, len(d.people))
	for _, p := range d.people[min(from, to):to] {
		if e := d.entry(p, wanted); d.matches(p, filter) == yes {
			out.Write(e.message(uint32(id)))
		}
	}
	if paging == nil && (d.unscoped || !scoped) {
		ref := ber.NewSequence("")
		ref.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
		r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultReference, nil, "")
		r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "ldap://ad.test/CN=Configuration,"+domain, ""))
		ref.AppendChild(r)
		out.Write(ref.Bytes())
	}
	done := result(id, ldap.ApplicationSearchResultDone, d.code)
	if d.loses && from > 0 {
		return done
	}
	if paging != nil {
		if to < len(d.people) {
			return withCookie(done, fmt.Sprint(to))
		}
		return withCookie(done, "")
	}
	return done
}

// withCookie answers a search for a page.
func withCookie(done *ber.Packet, cookie string) *ber.Packet {
	answer := ldap.NewControlPaging(0)
	answer.SetCookie([]byte(cookie))
	controls := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
	controls.AppendChild(answer.Encode())
	done.AppendChild(controls)
	return done
}

// entry is a person with the attributes that were asked for.
func (d *controller) entry(p *person, wanted []string) *entry {
	have := []string{
		"mail", p.mail, "cn", strings.TrimPrefix(strings.Split(p.dn, ",")[0], "CN="), "objectGUID", strings.Repeat(string(rune(p.guid)), 16),
		"uSNChanged", fmt.Sprint(p.changed),
	}
	if !d.noMetaData {
		have = append(have, "replPropertyMetaData", metaData(p.records))
	}
	if p.photo != nil && !d.hidden[p.dn] {
		have = append(have, "thumbnailPhoto", string(p.photo))
	}
	e := &entry{dn: p.dn}
	for pair := range slices.Chunk(have, 2) {
		if !slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(w, pair[0]) }) {
			continue
		}
		e.attributes = append(e.attributes, attribute(pair[0], pair[1])...)
	}
	if len(p.proxies) > 0 && slices.Contains(wanted, "proxyAddresses") {
		e.attributes = append(e.attributes, part(p.proxies)...)
	}
	return e
}

// part is what is given of an attribute with many values: the first of them, and the
// attribute without any beside them.
func part(values []string) []byte {
	const most = 1500
	if len(values) <= most {
		return attribute("proxyAddresses", values...)
	}
	return append(attribute("proxyAddresses"), attribute(fmt.Sprintf("proxyAddresses;range=0-%d", most-1), values[:most]...)...)
}

// The values of a filter (RFC 4511, section 4.5.1.7).
const (
	no = iota
	undefined
	yes
)

func (d *controller) matches(p *person, f *ber.Packet) int {
	truth := func(b bool) int {
		if b {
			return yes
		}
		return no
	}
	switch f.Tag {
	case ldap.FilterAnd:
		v := yes
		for _, c := range f.Children {
			v = min(v, d.matches(p, c))
		}
		return v
	case ldap.FilterOr:
		v := no
		for _, c := range f.Children {
			v = max(v, d.matches(p, c))
		}
		return v
	case ldap.FilterNot:
		return yes - d.matches(p, f.Children[0])
	case ldap.FilterPresent:
		switch {
		case f.Data.String() == "objectClass":
			return yes
		case d.hidden[p.dn]:
			return undefined
		}
		return truth(f.Data.String() == "thumbnailPhoto" && p.photo != nil)
	case ldap.FilterExtensibleMatch:
		group := f.Children[2].Data.String()
		for g := d.groups[p.dn]; g != ""; g = d.groups[g] {
			if g == group {
				return yes
			}
		}
		return no
	case ldap.FilterEqualityMatch:
		name, value := f.Children[0].Data.String(), f.Children[1].Data.String()
		return truth(name == "objectClass" || name == "primaryGroupID" && value == fmt.Sprint(p.primary) || name == "objectGUID" && value == strings.Repeat(string(rune(p.guid)), 16))
	}
	return undefined
}

// message is an entry as it goes over the wire.
func (e *entry) message(id uint32) []byte {
	return tlv(tagSequence, tlv(0x02, binary.BigEndian.AppendUint32(nil, id)), tlv(tagEntry, tlv(tagOctets, []byte(e.dn)), tlv(tagSequence, e.attributes)))
}

func attribute(name string, values ...string) []byte {
	var set []byte
	for _, v := range values {
		set = append(set, tlv(tagOctets, []byte(v))...)
	}
	return tlv(tagSequence, tlv(tagOctets, []byte(name)), tlv(tagSet, set))
}

// tlv is an element of BER, with a length as Active Directory writes it.
func tlv(tag byte, contents ...[]byte) []byte {
	content := bytes.Join(contents, nil)
	if len(content) < 0x80 {
		return append([]byte{tag, byte(len(content))}, content...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{tag, 0x84}, uint32(len(content))), content...)
}
