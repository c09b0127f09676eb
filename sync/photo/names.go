package photo

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// initials returns what stands for a person: the first letters of the first and the last
// name, or the one character that a Chinese, Japanese or Korean name begins with, which is
// the family's. The email address steps in for a display name without letters. It may be
// empty.
func initials(displayName, email string) []rune {
	// NFKC also for Ｊａｎｅ, as Japanese keyboards write it.
	name := brackets.ReplaceAllString(norm.NFKC.String(displayName), " ")
	// Directories write "Family, Given" and "Name, Degree" alike.
	before, after, _ := strings.Cut(name, ",")
	after, _, _ = strings.Cut(after, ",")
	letters := firstLetters(strings.Fields(after + " " + before))
	if len(letters) == 0 {
		local, _, _ := strings.Cut(norm.NFKC.String(email), "@")
		letters = firstLetters(strings.FieldsFunc(local, func(r rune) bool { return !isLetter(r) }))
	}
	last := len(letters) - 1
	if last < 1 || ideographic(letters[0]) || ideographic(letters[last]) {
		return letters[:min(last+1, 1)] // "Bruce 李": both at once would look like neither
	}
	return []rune{letters[0], letters[last]}
}

// firstLetters returns the first letter of each word that has one and is no title.
func firstLetters(words []string) (letters []rune) {
	for _, w := range words {
		if i := strings.IndexFunc(w, isLetter); i >= 0 && !titles[strings.ToLower(strings.Trim(w, "."))] {
			letters = append(letters, unicode.ToUpper([]rune(w[i:])[0]))
		}
	}
	return letters
}

var titles = map[string]bool{
	"dr": true, "prof": true, "professor": true, "ing": true, "dipl": true, "dipl.-ing": true, "mag": true, "med": true,
	"mr": true, "mrs": true, "ms": true, "miss": true, "mx": true, "sir": true, "herr": true, "frau": true, "m.d": true,
	"jr": true, "sr": true, "ii": true, "iii": true, "iv": true,
	"phd": true, "ph.d": true, "md": true, "mba": true, "msc": true, "bsc": true, "esq": true, "cpa": true,
}

// brackets is what stands in them, "(External)" and the like.
var brackets = regexp.MustCompile(`[(\[{（【][^)\]}）】]*|[)\]}）】]`)

// isLetter reports whether r is a letter that a name may begin with: not one of the signs
// that count as letters, like the ʻ of ʻOkina.
func isLetter(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Lm, r) }

// ideographic reports whether one character of a name says as much as several letters.
func ideographic(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana)
}
