package ldap

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
)

// person makes a Person of an entry, or says why the entry is left out.
func (s *Source) person(e *entry, srv server, now time.Time) (p sources.Person, why string) {
	var had bool
	p.Own, p.Aliases, had = s.emails(e)
	switch {
	case len(e.values("ref")) > 0:
		return p, "a referral to another server, which is not followed"
	case e.tooLarge > 0:
		return p, "the entry is larger than is read at most"
	case e.ranged(s.o.EmailAttributes):
		return p, "the server gives only a part of the addresses"
	case len(p.Own) == 0 && had:
		return p, noValidAddress
	case len(p.Own) == 0:
		return p, noAddress
	}
	p.DisplayName = cmp.Or(e.text("displayName"), e.text("cn"))
	p.Stamp, p.HasPhoto = s.stamps.of(e, srv, now)
	p.Ref = sources.Ref{Name: e.dn, Key: key(e)}
	if p.Ref.Key != "" && p.Stamp != "" {
		// The photo may be read from another server, which may have an older or a newer one.
		p.Ref.Mark = digest(p.Stamp)
	}
	return p, ""
}

// emails returns the addresses of an entry, and whether it has any value for one, valid or not.
// proxyAddresses have a type: SMTP for the primary address, smtp for others ([MS-ADA3], section
// 2.105).
func (s *Source) emails(e *entry) (own, aliases []string, had bool) {
	for _, a := range s.o.EmailAttributes {
		first := len(own) == 0
		for _, v := range e.texts(a) {
			primary := true
			if strings.EqualFold(a, "proxyAddresses") {
				kind, address, _ := strings.Cut(v, ":")
				if !strings.EqualFold(kind, "smtp") {
					continue
				}
				primary, v = kind == "SMTP", address
			}
			had = true
			switch email, err := sources.Email(v); {
			case err != nil:
			case primary && first:
				own = append(own, email)
			default:
				aliases = append(aliases, email)
			}
		}
	}
	own, aliases = sources.Addresses(own, aliases)
	return own, aliases, had
}

// Why an entry is left out.
const (
	noAddress      = "no email address"
	noValidAddress = "no valid email address"
)

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// keyAttributes are the attributes that key uses. Active Directory has only the second one.
var keyAttributes = []string{"entryUUID", "objectGUID"}

// key returns the key by which an entry is found later: its UUID (RFC 4530) or objectGUID, which
// survive renames. Empty: the DN has to do.
func key(e *entry) string {
	if id := e.text("entryUUID"); id != "" {
		return "entryUUID=" + id
	}
	if ids := e.values("objectGUID"); len(ids) > 0 && len(ids[0]) > 0 {
		return fmt.Sprintf("objectGUID=%x", ids[0])
	}
	return ""
}

func keyFilter(k string) string {
	name, value, _ := strings.Cut(k, "=")
	if name == "objectGUID" {
		raw, _ := hex.DecodeString(value) // key encoded it
		value = string(raw)
	}
	return "(" + name + "=" + ldap.EscapeFilter(value) + ")"
}

// timeGranularity is how old a modifyTimestamp must be to be trusted: it has whole seconds, and the
// server's clock may differ from ours.
const timeGranularity = 5 * time.Minute

// attributeIDs are the names of photo attributes in replPropertyMetaData ([MS-ADTS], section
// 3.1.1.1.3; those of the base schema are the same everywhere).
var attributeIDs = map[string]uint32{"thumbnailphoto": 0x00160023, "jpegphoto": 0x0015003c}

type stamps struct {
	choice     string   // a digest of the photo attributes and of photo_choice: another choice is another photo
	ids        []uint32 // of all photo attributes; 0: not known
	attributes []string // from which stamps are made, on any server; nil: there are no stamps
}

func newStamps(o Options) stamps {
	names := strings.ToLower(strings.Join(o.PhotoAttributes, ","))
	m := stamps{choice: digest(names + " " + o.PhotoChoice)}
	for name := range strings.SplitSeq(names, ",") {
		m.ids = append(m.ids, attributeIDs[name])
	}
	if o.ChangeDetection != "content" {
		m.attributes = []string{"entryCSN", "modifyTimestamp", "uSNChanged"}
	}
	if m.attributes != nil && !slices.Contains(m.ids, 0) {
		m.attributes = append(m.attributes, "replPropertyMetaData")
	}
	return m
}

// of returns the stamp of an entry, and whether that shows that there is a photo. The first of these counts:
//
//	Active Directory   replPropertyMetaData: the photo's own record, the same on every domain controller
//	                   uSNChanged, with the identity of the domain controller
//	others             entryCSN (OpenLDAP): no two changes share one
//	                   modifyTimestamp, if it is so old that no other change can have the same second
func (m stamps) of(e *entry, s server, now time.Time) (mark string, has sources.Presence) {
	if m.attributes == nil {
		return "", sources.Unknown
	}
	if s.ad {
		if record, has := recordStamp(e.values("replPropertyMetaData"), m.ids); record != "" {
			return m.choice + "/repl=" + record, has
		}
		if usn := e.text("uSNChanged"); usn != "" && s.dc != "" {
			return m.choice + "/usn=" + s.dc + ":" + usn, sources.Unknown
		}
		return "", sources.Unknown
	}
	if csn := e.text("entryCSN"); csn != "" {
		return m.choice + "/csn=" + csn, sources.Unknown
	}
	changed := e.text("modifyTimestamp")
	at, err := time.Parse("20060102150405Z0700", changed)
	if err != nil || now.Sub(at) < timeGranularity {
		return "", sources.Unknown
	}
	return m.choice + "/time=" + changed, sources.Unknown
}

// recordStamp makes a stamp from the photo attributes' records in replPropertyMetaData ([MS-DRSR],
// section 5.167, PROPERTY_META_DATA_EXT_VECTOR version 1): a header of 16 bytes, and for each
// attribute that was ever written 48 bytes: attribute, version (which counts the changes), time,
// invocation id of the database where it was changed, USN there, USN here. All but the last are the
// same on every domain controller. Empty: the value has another form.
func recordStamp(values [][]byte, attributes []uint32) (mark string, has sources.Presence) {
	if len(values) != 1 || slices.Contains(attributes, 0) {
		return "", sources.Unknown
	}
	b, le := values[0], binary.LittleEndian
	if len(b) < 16 || le.Uint32(b) != 1 || uint64(len(b)-16) != uint64(le.Uint32(b[8:]))*48 {
		return "", sources.Unknown
	}
	changes, databases := make([]string, len(attributes)), make([]string, len(attributes))
	has = sources.Absent
	for r := range slices.Chunk(b[16:], 48) {
		i, version := slices.Index(attributes, le.Uint32(r)), le.Uint32(r[4:])
		if i < 0 || version == 0 {
			continue
		}
		changes[i], databases[i] = fmt.Sprintf("%x.%x", le.Uint64(r[32:]), version), fmt.Sprintf("%x", r[16:32])
		switch {
		case version == 1:
			has = sources.Present // the first change must have set the value
		case has == sources.Absent:
			has = sources.Unknown // a removed value leaves its record behind
		}
	}
	return strings.Join(changes, ",") + "#" + strings.Join(databases, ","), has
}
