package sources

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

func TestEmail(t *testing.T) {
	for in, want := range map[string]string{
		" Ann.Lee@Example.COM ":              "ann.lee@example.com",
		"ann+photo@example.com":              "ann+photo@example.com",
		"ANN.O'HARA@example.com":             "ann.o'hara@example.com",
		"Ju\u0308rgen@example.com":           "j\u00fcrgen@example.com", // NFD
		"M\u00dcLLER@example.com":            "m\u00fcller@example.com",
		"Stra\u00dfe@example.com":            "stra\u00dfe@example.com",  // not the same as strasse
		"STRA\u1e9eE@example.com":            "stra\u1e9ee@example.com",  // nor is its capital one
		"\ufb01nn@example.com":               "\ufb01nn@example.com",     // a ligature: not finn
		"\u0130lk@example.com":               "\u0130lk@example.com",     // not the same as ilk
		"\u03a3\u03c2@example.com":           "\u03c3\u03c2@example.com", // two letters, although both are sigma
		"\u212anut@example.com":              "knut@example.com",         // the Kelvin sign is a K (NFC)
		"ann@M\u00fcnchen.example":           "ann@xn--mnchen-3ya.example",
		"ann@mu\u0308nchen\u3002example":     "ann@xn--mnchen-3ya.example",
		"Ann@XN--mnchen-3ya.example":         "ann@xn--mnchen-3ya.example",
		"ann@stra\u00dfe.example":            "ann@xn--strae-oqa.example", // another domain than strasse.example
		"ann@\u2603\ufffd.example":           "",
		"ann@example.com,b@b.test":           "",
		"ann":                                "",
		"@example.com":                       "",
		"ann@":                               "",
		"a@b@c.test":                         "",
		"ann lee@example.com":                "",
		"ann@example.com.":                   "",
		"<img src=x>@example.com":            "",
		"a\x00b@example.com":                 "",
		"\xff@example.com":                   "",
		strings.Repeat("a", 250) + "@b.test": "",
	} {
		got, err := Email(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Email(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

// A listing asks a million times.
func TestCanonicalEmailIsNotCopied(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() { Email("ann.o'hara+x@example.com") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A canonical address stays as it is: people are matched by it.
func FuzzEmail(f *testing.F) {
	for _, s := range []string{"Ann@Example.com", "İ@x.test", "Σς@x.test", "Å@x", "\u1e9b\u0323@x", "a@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := Email(s)
		if err != nil {
			return
		}
		if again, err := Email(e); err != nil || again != e || !norm.NFC.IsNormalString(e) {
			t.Errorf("Email(%q) = %q, and of that %q, %v", s, e, again, err)
		}
	})
}
