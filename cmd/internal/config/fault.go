package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Fault is one mistake in the file.
type Fault struct {
	Line, Column int    // from 1; 0: the file as a whole
	Key          string // like sources[1].urls
	Message      string
	Instead      string // what to write instead
	Excerpt      string // the line, a caret below the place, and the corrected line; may be empty

	correct string // the corrected line, if it is known
}

// Error is a file with mistakes.
type Error struct {
	Path   string
	Faults []Fault
}

// Error has one line for each fault.
func (e *Error) Error() string {
	return strings.TrimSuffix(e.text(func(Fault) string { return "" }), "\n")
}

// Excerpts is like Error, with the excerpt below each fault that has one.
func (e *Error) Excerpts() string { return e.text(func(f Fault) string { return f.Excerpt }) }

func (e *Error) text(below func(Fault) string) string {
	var b strings.Builder
	for _, f := range e.Faults {
		b.WriteString(e.line(f) + "\n" + below(f))
	}
	return b.String()
}

func (e *Error) line(f Fault) string {
	s := e.Path
	if f.Line > 0 {
		s += fmt.Sprintf(":%d:%d", f.Line, f.Column)
	}
	s += ": "
	if f.Key != "" {
		s += f.Key + ": "
	}
	s += f.Message
	if f.Instead != "" {
		s += " (" + f.Instead + ")"
	}
	return s
}

// Hint says what to do.
func (e *Error) Hint() string { return "correct the configuration; nothing was contacted" }

// excerpts gives each fault the line that it is about.
func excerpts(lines []string, faults []Fault) {
	for i := range faults {
		f := &faults[i]
		if f.Line < 1 || f.Line > len(lines) {
			continue
		}
		line, caret := redact(lines[f.Line-1], f.Column-1, leaf(f.Key))
		f.Excerpt = fmt.Sprintf("%6d | %s\n%6s | %s^\n", f.Line, line, "", strings.Repeat(" ", caret))
		if f.correct != "" {
			line, _ = redact(f.correct, 0, "")
			f.Excerpt += fmt.Sprintf("%6s | %s\n", "write", line)
		}
	}
}

var words = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^\s\[\]{},"']+`) })

// redact returns line as a fault may show it, and where its column (from 0) is in that.
// A secret may stand anywhere by mistake: keys that are not known, and values that may
// be secrets, show as "…"; comments are left out. The key also is shown, too.
func redact(line string, column int, also string) (string, int) {
	line = uncommented(line)
	runes := []rune(line)
	column = len(string(runes[:min(column, len(runes))]))
	var b strings.Builder
	var open brackets
	key, end, caret, atKey := "", 0, -1, true
	for _, at := range words().FindAllStringIndex(line, -1) {
		word, between := line[at[0]:at[1]], line[end:at[0]]
		b.WriteString(plain(between))
		if caret < 0 && column < at[1] {
			caret = len([]rune(b.String())) - max(at[0]-column, 0)
		}
		if !quotedAt(line, end) {
			atKey = open.walk(between) || atKey
		}
		end = at[1]
		if !atKey {
			b.WriteString(shown(key, word))
			continue
		}
		name, value, colon := strings.Cut(word, ":")
		switch {
		case word == "-":
			b.WriteString(word)
			continue
		case !knownKeys()[name] && inlineSecrets[name] == "" && (name != also || name == ""):
			key = ""
			b.WriteString("…" + word[len(strings.TrimRight(word, ":")):])
		default:
			key = name
			b.WriteString(name)
			if colon {
				b.WriteString(":")
			}
			b.WriteString(shown(key, value))
		}
		atKey = false
	}
	b.WriteString(plain(line[end:]))
	if caret < 0 {
		caret = len([]rune(b.String()))
	}
	return b.String(), max(caret, 0)
}

// brackets are those that are open at a place of a line.
type brackets []byte

// walk passes text, and reports whether a key may follow it in brackets.
func (b *brackets) walk(text string) (key bool) {
	for _, c := range []byte(text) {
		switch c {
		case '{', '[':
			*b = append(*b, c)
			key = c == '{'
		case '}', ']':
			*b = (*b)[:max(len(*b)-1, 0)]
		case ',':
			key = len(*b) > 0 && (*b)[len(*b)-1] == '{'
		}
	}
	return key
}

// shown is a word of a line: the value of a key.
func shown(key, word string) string {
	if word == "" || showable(key, word) {
		return word
	}
	return "…"
}

// quotedAt reports whether the text at an offset of line is in quotes.
func quotedAt(line string, offset int) bool {
	return strings.Count(line[:offset], "'")%2 == 1 || strings.Count(line[:offset], `"`)%2 == 1
}

// plain is text without what a terminal would act on.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// quote is value for a message: in quotes, or only named where it may be a secret.
func quote(key, value string) string {
	for word := range strings.FieldsSeq(value) {
		if !showable(leaf(indexes().ReplaceAllString(key, "")), word) {
			return "the value"
		}
	}
	return fmt.Sprintf("%q", value)
}

// showable reports whether a word of the value of a key may be shown: what may hold a
// secret, and what looks like one, may not.
func showable(key, word string) bool {
	switch {
	case !knownKeys()[key] || secretKeys[key] || looksSecret(word):
		return false
	case strings.HasSuffix(key, "_file") || pathKeys[key]:
		return pathLike().MatchString(word)
	case strings.Contains(word, "://"):
		return !strings.ContainsAny(word, "@?")
	}
	return !strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsPrint(r) })
}

// secretKeys are those whose values work like passwords; the values of pathKeys, and of
// all that end in _file, are shown only if they look like a path.
var (
	secretKeys = map[string]bool{"webhook": true, "healthcheck": true, "pushgateway": true}
	pathKeys   = map[string]bool{"path": true, "dir": true, "textfile": true, "keytab": true, "config": true}
)

var pathLike = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(/|\.\.?/|~/|[A-Za-z]:[/\\]|\\\\)|\.(pem|crt|cer|key|keytab|csv|txt|conf|json|db|prom|token)$`)
})

var (
	parts = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[\pL\d]+`) })
	mixed = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\pL\d+\pL|^[\pL\d]{21,}$|^(\pL*?\p{Ll}\p{Lu}){4}`)
	})
)

// looksSecret reports whether a word has a part that mixes letters and digits, or upper
// and lower case, as tokens and passwords do, or that is very long.
func looksSecret(word string) bool {
	return len(word) >= 20 && strings.ContainsAny(word, "+$^") ||
		slices.ContainsFunc(parts().FindAllString(word, -1), func(p string) bool {
			return mixed().MatchString(p) || len(p) >= 6 && strings.ContainsAny(p, "0123456789") && strings.ContainsFunc(p, unicode.IsLetter)
		})
}

// allKeys are all keys in the order of the file, those of a source like sources[].urls.
var allKeys = sync.OnceValue(func() (all []string) {
	walk(reflect.ValueOf(Config{Sources: make([]Source, 1)}), "", func(_ reflect.Value, key string) {
		if key = indexes().ReplaceAllString(key, "[]"); key != "" && key != "sources[]" {
			all = append(all, key)
		}
	})
	return all
})

// knownKeys are the last parts of all keys.
var knownKeys = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	for _, key := range allKeys() {
		known[leaf(key)] = true
	}
	return known
})
