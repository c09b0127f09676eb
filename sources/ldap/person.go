package ldap

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
)

// person makes a Person of an entry, or says why it is none.
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
	p.Stamp, p.HasPhoto = s.marks.of(e, srv, now)
	p.Ref = sources.Ref{Name: e.dn, Key: key(e)}
	if p.Ref.Key != "" && p.Stamp != "" {
		// The photo may be read from another server, where it is an older or a newer one.
		p.Ref.Mark = digest(p.Stamp)
	}
	return p, ""
}

// emails are the addresses of an entry, and whether it has values that could be some.
// Those of proxyAddresses have a type: SMTP for the primary one, smtp for others
// ([MS-ADA3], section 2.105).
func (s *Source) emails(e *entry) (own, aliases []string, had bool) {
	for _, a := range s.o.EmailAttributes {
		proxies, first := strings.EqualFold(a, "proxyAddresses"), len(own) == 0
		for _, v := range e.texts(a) {
			primary := true
			if proxies {
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

// Why an entry names nobody.
const (
	noAddress      = "no email address"
	noValidAddress = "no valid email address"
)

func digest(mark string) string {
	sum := sha256.Sum256([]byte(mark))
	return hex.EncodeToString(sum[:6])
}

// keyAttributes are those that key is made of.
func keyAttributes(s server) []string {
	if s.ad {
		return []string{"objectGUID"}
	}
	return []string{"entryUUID", "objectGUID"}
}

// key is what an entry is found by later: its UUID (RFC 4530) or objectGUID, which
// survive renames. Empty: its DN.
func key(e *entry) string {
	if id := e.text("entryUUID"); id != "" {
		return "entryUUID=" + id
	}
	if ids := e.values("objectGUID"); len(ids) > 0 && len(ids[0]) > 0 {
		return fmt.Sprintf("objectGUID=%x", ids[0])
	}
	return ""
}

// keyFilter is the filter for a key made by the function key.
func keyFilter(k string) string {
	name, value, _ := strings.Cut(k, "=")
	if name == "objectGUID" {
		raw, _ := hex.DecodeString(value) // made by us
		value = string(raw)
	}
	return "(" + name + "=" + ldap.EscapeFilter(value) + ")"
}
