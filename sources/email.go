package sources

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// maxEmailBytes is SMTP's limit without the angle brackets (RFC 5321, section 4.5.3.1.3).
const maxEmailBytes = 254

// Email returns the canonical form of an email address, by which people of all
// sources, the state and Smartsheet are matched: trimmed, the local part case-folded by
// Unicode's full rules and in NFC, the domain as it stands in the DNS. Dots and a
// plus-suffix stay: they may tell two people apart. Local parts in quotes are refused.
func Email(s string) (string, error) {
	email, ascii := strings.TrimSpace(s), isASCII(s)
	if ascii {
		email = strings.ToLower(email) // no copy of one that is canonical, as nearly all are
	}
	local, host, found := strings.Cut(email, "@")
	var err error
	if !ascii {
		// Folding can undo NFC and the other way round; a second round changes nothing more.
		for range 2 {
			local = norm.NFC.String(cases.Fold().String(norm.NFC.String(local)))
		}
		host, err = domain(host)
		email = local + "@" + host
	}
	switch {
	case !found || strings.Contains(host, "@"):
		return "", fmt.Errorf("email %q: want exactly one @", s)
	case local == "" || strings.Trim(host, ".") != host || host == "":
		return "", fmt.Errorf("email %q: want a name before the @ and a domain after it", s)
	case err != nil:
		return "", fmt.Errorf("email %q: %w", s, err)
	case len(email) > maxEmailBytes:
		return "", fmt.Errorf("email %.40q…: longer than %d bytes", s, maxEmailBytes)
	}
	if i := strings.IndexFunc(email, notInEmail); i >= 0 {
		r, _ := utf8.DecodeRuneInString(email[i:])
		return "", fmt.Errorf("email %q: %q is not allowed", s, r)
	}
	return email, nil
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// domain returns the canonical form of a domain: in lower case, an internationalised one
// as it stands in the DNS (xn--…; Unicode Technical Standard 46, as RFC 5891 looks it up).
func domain(s string) (string, error) {
	if isASCII(s) {
		return strings.ToLower(s), nil
	}
	return idn.ToASCII(s)
}

var idn = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false))

// Spellings returns canonical addresses, and of those with an internationalised domain the
// other spelling, too: to ask a service that compares letter by letter.
func Spellings(emails []string) []string {
	all := slices.Clone(emails)
	for _, e := range emails {
		local, host, _ := strings.Cut(e, "@")
		if d, err := idn.ToUnicode(host); err == nil && d != host {
			all = append(all, local+"@"+d)
		}
	}
	return all
}

// notInEmail reports characters that no unquoted address holds (RFC 5322, section 3.2.3;
// RFC 6532). The comma matters most: it separates addresses in Smartsheet's email filter.
func notInEmail(r rune) bool {
	if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' { // nearly always
		return false
	}
	return r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`,;:<>()[]\"`, r)
}
