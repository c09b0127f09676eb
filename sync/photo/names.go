package photo

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// initials returns what stands for a person: the first letters of the first and
// the last name, or the one character that a Chinese, Japanese or Korean name
// begins with, which is the family's. The email address steps in for a display
// name without letters. It may be empty.
func initials(displayName, email string) []rune {
	if in := initialsOf(nameParts(displayName)); len(in) > 0 {
		return in
	}
	local, _, _ := strings.Cut(norm.NFKC.String(email), "@")
	return initialsOf(strings.FieldsFunc(local, func(r rune) bool { return !isLetter(r) }))
}

// nameParts splits a display name, given name first, without what is no name:
// what stands in brackets, titles, signs.
func nameParts(name string) []string {
	name = brackets().ReplaceAllString(norm.NFKC.String(name), " ") // also Ｊａｎｅ, as Japanese keyboards write it
	// Directories write "Family, Given" and "Name, Degree" alike.
	before, after, _ := strings.Cut(name, ",")
	after, _, _ = strings.Cut(after, ",")
	return append(realNames(after), realNames(before)...)
}

// realNames returns the words of s with a letter in them, without titles and
// degrees.
func realNames(s string) []string {
	return slices.DeleteFunc(strings.Fields(s), func(w string) bool {
		return strings.IndexFunc(w, isLetter) < 0 || titles[strings.ToLower(strings.Trim(w, "."))]
	})
}

var titles = map[string]bool{
	"dr": true, "prof": true, "professor": true, "ing": true, "dipl": true, "dipl.-ing": true, "mag": true, "med": true,
	"mr": true, "mrs": true, "ms": true, "miss": true, "mx": true, "sir": true, "herr": true, "frau": true, "m.d": true,
	"jr": true, "sr": true, "ii": true, "iii": true, "iv": true,
	"phd": true, "ph.d": true, "md": true, "mba": true, "msc": true, "bsc": true, "esq": true, "cpa": true,
}

// brackets is what stands in them, "(External)" and the like.
var brackets = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[(\[{（【][^)\]}）】]*|[)\]}）】]`) })

// initialsOf returns the letters of a name's parts.
func initialsOf(parts []string) []rune {
	letter := func(s string) rune {
		for _, r := range s {
			if isLetter(r) {
				return unicode.ToUpper(r)
			}
		}
		return 0
	}
	if len(parts) == 0 {
		return nil
	}
	first := letter(parts[0])
	if ideographic(first) || len(parts) == 1 {
		return []rune{first}
	}
	last := letter(parts[len(parts)-1])
	if ideographic(last) {
		return []rune{first} // "Bruce 李": both at once would look like neither
	}
	return []rune{first, last}
}

// isLetter reports whether r is a letter that a name may begin with: not one of the
// signs that count as letters, like the ʻ of ʻOkina.
func isLetter(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Lm, r) }

// ideographic reports whether one character of a name says as much as several
// letters.
func ideographic(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana)
}
