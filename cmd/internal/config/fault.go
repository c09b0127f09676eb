package config

import (
	"fmt"
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
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = e.line(f)
	}
	return strings.Join(lines, "\n")
}

// Excerpts is like Error, with the excerpt below each fault that has one.
func (e *Error) Excerpts() string {
	var b strings.Builder
	for _, f := range e.Faults {
		b.WriteString(e.line(f) + "\n" + f.Excerpt)
	}
	return b.String()
}

func (e *Error) line(f Fault) string {
	s := e.Path
	if f.Line > 0 {
		s += fmt.Sprintf(":%d:%d", f.Line, f.Column)
	}
	if f.Key != "" {
		s += ": " + f.Key
	}
	s += ": " + f.Message
	if f.Instead != "" {
		s += " (" + f.Instead + ")"
	}
	return s
}

// Hint says what to do.
func (e *Error) Hint() string { return "correct the configuration; nothing was contacted" }

// excerpts gives each fault the line that it is about, a caret, and the corrected line.
func (d *decoder) excerpts() {
	for i := range d.faults {
		f := &d.faults[i]
		if f.Line < 1 || f.Line > len(d.lines) {
			continue
		}
		line := []rune(uncommented(d.lines[f.Line-1]))
		shown := redactor(string(line), leaf(f.Key))
		caret := len([]rune(shown(string(line[:min(f.Column-1, len(line))]))))
		f.Excerpt = fmt.Sprintf("%6d | %s\n%6s | %s^\n", f.Line, shown(string(line)), "", strings.Repeat(" ", caret))
		if f.correct != "" {
			f.Excerpt += fmt.Sprintf("%6s | %s\n", "write", shown(f.correct))
		}
	}
}

var (
	keyed    = regexp.MustCompile(`(?:^|[{,]|- )\s*['"]?([^\s\[\]{},'":]+)['"]?\s*(?::\s|:$|=)`)
	words    = regexp.MustCompile(`[^\s\[\]{},'":=]+`)
	pathLike = regexp.MustCompile(`^(/|\.\.?/|~/|[A-Za-z]:[/\\]|\\\\)|\.(pem|crt|cer|key|keytab|csv|txt|conf|json|db|prom|token)$`)
	mixed    = regexp.MustCompile(`\pL\d+\pL|[\pL\d]{21}|\pL{4}\pL*\d{2}|\pL{5}\d|\d{5}\d*\pL|(\p{Ll}\p{Lu}\pL*){4}|^.{19,}[+$^]`)
)

// redactor returns what makes a part of line fit to be shown. Secrets may stand anywhere by
// mistake: no value shows where a key of the line is not known or may name a secret, and
// none that looks like a secret shows anywhere. The key also shows.
func redactor(line, also string) func(string) string {
	open := true // values show
	named := keyed.FindAllStringSubmatch(line, -1)
	for _, m := range named {
		open = open && knownKeys()[m[1]] && !private(m[1])
	}
	open = open && len(named) > 0 && !credentials(line)
	return func(part string) string {
		part = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) { // a terminal might act on it
				return ' '
			}
			return r
		}, part)
		return words.ReplaceAllStringFunc(part, func(w string) string {
			if w == "-" || w == also || knownKeys()[w] || inlineSecrets[w] != "" || open && !looksSecret(w) {
				return w
			}
			return "…"
		})
	}
}

// quote is value for a message: in quotes, or only named where it may be a secret.
func quote(key, value string) string {
	name := leaf(index.ReplaceAllString(key, ""))
	if !knownKeys()[name] || private(name) && !pathLike.MatchString(value) || looksSecret(value) {
		return "the value"
	}
	return fmt.Sprintf("%q", value)
}

// private reports whether a secret may stand in the place of the value of a key: where an
// address works like a password, and where a path is wanted.
func private(key string) bool {
	return strings.HasSuffix(key, "_file") || slices.Contains([]string{"webhook", "healthcheck", "pushgateway", "path", "dir", "textfile", "keytab"}, key)
}

// credentials reports whether text has an address with a user or a query.
func credentials(text string) bool {
	_, rest, found := strings.Cut(text, "://")
	return found && strings.ContainsAny(rest, "@?")
}

// looksSecret reports whether a part of text has credentials, or mixes letters and digits, or
// upper and lower case, as tokens and passwords do, or is very long.
func looksSecret(text string) bool { return mixed.MatchString(text) || credentials(text) }

// withoutSecrets is a message in which no word looks like a secret.
func withoutSecrets(message string) string {
	return regexp.MustCompile(`\S+`).ReplaceAllStringFunc(message, func(w string) string {
		if looksSecret(w) {
			return "…"
		}
		return w
	})
}

// knownKeys are the last parts of all keys.
var knownKeys = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	for _, key := range allKeys() {
		known[leaf(key)] = true
	}
	return known
})
