package sources

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxEmailBytes is the longest address that fits SMTP's path limit of 256
// octets with its angle brackets (RFC 5321, section 4.5.3.1.3).
const maxEmailBytes = 254

// Email returns the canonical form of an email address, by which people of all
// sources, the state and Smartsheet are matched: trimmed, NFC, the whole address
// in lower case. The local part keeps its dots and plus-suffix: two addresses
// that differ there may be two people. Quoted local parts are not supported.
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
	e := strings.TrimSpace(s)
	// Lower-casing can undo NFC and the other way round; a second round settles.
	for range 2 {
		e = norm.NFC.String(strings.ToLower(norm.NFC.String(e)))
	}
	local, domain, found := strings.Cut(e, "@")
	switch {
	case !found || strings.Contains(domain, "@"):
		return "", fmt.Errorf("email %q: want exactly one @", s)
	case local == "" || domain == "":
		return "", fmt.Errorf("email %q: nothing before or after the @", s)
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

// notInEmail reports characters that no unquoted address holds (RFC 5322,
// section 3.2.3; RFC 6532 for those beyond ASCII). The comma matters most: it
// separates addresses in Smartsheet's email filter.
func notInEmail(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`,;:<>()[]\"`, r)
}
