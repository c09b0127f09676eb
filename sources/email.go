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

// maxEmailBytes is the longest address that fits SMTP's path limit of 256
// octets with its angle brackets (RFC 5321, section 4.5.3.1.3).
const maxEmailBytes = 254

// Email returns the canonical form of an email address, by which people of all
// sources, the state and Smartsheet are matched: trimmed, the local part case-folded by
// Unicode's full rules and in NFC, the domain as Domain has it. The local part keeps its
// dots and plus-suffix: two addresses that differ there may be two people. Quoted local
// parts are not supported.
func Email(s string) (string, error) {
	if isPlain(s) {
		return s, nil
	}
	return canonical(s)
}

// isPlain tells whether s is an address in its canonical form already, as nearly
// all are: lower-case ASCII with nothing in it that is not allowed. A listing asks
// a million times.
func isPlain(s string) bool {
	at := -1
	for i := range len(s) {
		switch c := s[i]; {
		case c == '@' && at < 0:
			at = i
		case c >= utf8.RuneSelf || !plain[c]:
			return false
		}
	}
	return at > 0 && at+1 < len(s) && len(s) <= maxEmailBytes && s[at+1] != '.' && s[len(s)-1] != '.'
}

// plain has the ASCII characters that stay as they are in an address.
var plain = func() (ok [utf8.RuneSelf]bool) {
	for c := range ok {
		ok[c] = c != '@' && !notInEmail(rune(c)) && !unicode.IsUpper(rune(c))
	}
	return ok
}()

func canonical(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("email %q: not valid UTF-8", s)
	}
	local, domain, found := strings.Cut(strings.TrimSpace(s), "@")
	// Folding can undo NFC and the other way round; a second round changes nothing more.
	for range 2 {
		local = norm.NFC.String(cases.Fold().String(norm.NFC.String(local)))
	}
	domain, err := Domain(domain)
	e := local + "@" + domain
	switch {
	case !found || strings.Contains(domain, "@"):
		return "", fmt.Errorf("email %q: want exactly one @", s)
	case local == "" || domain == "":
		return "", fmt.Errorf("email %q: nothing before or after the @", s)
	case err != nil:
		return "", fmt.Errorf("email %q: %w", s, err)
	case len(e) > maxEmailBytes:
		return "", fmt.Errorf("email %.40q…: longer than %d bytes", s, maxEmailBytes)
	case strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, "."):
		return "", fmt.Errorf("email %q: domain begins or ends with a dot", s)
	}
	if i := strings.IndexFunc(e, notInEmail); i >= 0 {
		r, _ := utf8.DecodeRuneInString(e[i:])
		return "", fmt.Errorf("email %q: %q is not allowed", s, r)
	}
	return e, nil
}

// Domain returns the canonical form of a domain: in lower case, an internationalised one
// as it stands in the DNS (xn--…; Unicode Technical Standard 46, as RFC 5891 looks it up).
func Domain(s string) (string, error) {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return strings.ToLower(s), nil
	}
	d, err := idn.ToASCII(s)
	if err != nil {
		return "", fmt.Errorf("%q is no domain: %w", s, err)
	}
	return d, nil
}

var idn = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false))

// Spellings returns canonical addresses, and of those with an internationalised domain the
// other spelling, too: to ask a service that compares letter by letter.
func Spellings(emails []string) []string {
	all := slices.Clone(emails)
	for _, e := range emails {
		if !strings.Contains(e, "xn--") {
			continue
		}
		local, domain, _ := strings.Cut(e, "@")
		if d, err := idn.ToUnicode(domain); err == nil && d != domain {
			all = append(all, local+"@"+d)
		}
	}
	return all
}

// notInEmail reports characters that no unquoted address holds (RFC 5322,
// section 3.2.3; RFC 6532 for those beyond ASCII). The comma matters most: it
// separates addresses in Smartsheet's email filter.
func notInEmail(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`,;:<>()[]\"`, r)
}
