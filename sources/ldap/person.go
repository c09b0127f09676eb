package ldap

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
)

// person makes a Person of an entry, or says why it is none.
func (s *Source) person(e *entry, srv server, now time.Time) (p sources.Person, why string) {
	if len(e.values("ref")) > 0 {
		return p, "a referral to another server, which is not followed"
	}
	had := false
	for _, a := range s.o.EmailAttributes {
		for _, v := range addresses(a, e.texts(a)) {
			had = true
			if email, err := sources.Email(v); err == nil && !slices.Contains(p.Emails, email) {
				p.Emails = append(p.Emails, email)
			}
		}
	}
	switch {
	case len(p.Emails) == 0 && had:
		return p, "no valid email address"
	case len(p.Emails) == 0:
		return p, "no email address"
	}
	p.DisplayName = cmp.Or(e.text("displayName"), e.text("cn"))
	p.Stamp, p.HasPhoto = s.marks.of(e, srv, now)
	p.Ref = sources.Ref{Name: e.dn, Key: key(e)}
	if p.Ref.Key != "" && p.Stamp != "" {
		p.Ref.Key += keyMark + digest(p.Stamp)
	}
	return p, ""
}

// keyMark separates, in a Ref's key, what the entry is found by from a digest of
// the change mark that was listed: the photo may be read from another server, where
// it is an older or a newer one.
const keyMark = " "

// splitKey takes a Ref's key apart.
func splitKey(r sources.Ref) (id, mark string) {
	id, mark, _ = strings.Cut(r.Key, keyMark)
	return id, mark
}

// id is what an entry is found by; empty: only by its name.
func id(r sources.Ref) string {
	id, _ := splitKey(r)
	return id
}

func digest(mark string) string {
	sum := sha256.Sum256([]byte(mark))
	return hex.EncodeToString(sum[:6])
}

// addresses takes the email addresses out of an attribute's values. Those of
// proxyAddresses have a type: SMTP for the primary one, smtp for others
// ([MS-ADA3], section 2.105).
func addresses(attribute string, vs []string) []string {
	if !strings.EqualFold(attribute, "proxyAddresses") {
		return vs
	}
	var primary, others []string
	for _, v := range vs {
		switch kind, address, _ := strings.Cut(v, ":"); {
		case kind == "SMTP":
			primary = append(primary, address)
		case strings.EqualFold(kind, "smtp"):
			others = append(others, address)
		}
	}
	return append(primary, others...)
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
	if id := e.text("entryUUID"); id != "" && !strings.Contains(id, keyMark) {
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
	if name != "objectGUID" {
		return fmt.Sprintf("(%s=%s)", name, ldap.EscapeFilter(value))
	}
	raw, _ := hex.DecodeString(value) // made by us
	var b strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&b, `\%02x`, c)
	}
	return "(objectGUID=" + b.String() + ")"
}
