package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"photosync/sync/foreign"
)

type Fault struct {
	Line, Column int    // from 1; 0: the file as a whole
	Key          string // like sources[1].urls
	Message      string
	Instead      string // what to write instead
	Excerpt      string // the line, a caret below the place, and the corrected line; may be empty

	correct string // the corrected line, if it is known
}

// Error means that a file has mistakes, is missing or cannot be read.
type Error struct {
	Path   string
	Faults []Fault
	hint   string
}

// Error has a line for each fault, and the excerpt below it.
func (e *Error) Error() string {
	text := ""
	for _, f := range e.Faults {
		place := e.Path
		if f.Line > 0 {
			place += fmt.Sprintf(":%d:%d", f.Line, f.Column)
		}
		text += strings.Join(slices.DeleteFunc([]string{place, f.Key, f.Message}, func(s string) bool { return s == "" }), ": ")
		if f.Instead != "" {
			text += " (" + f.Instead + ")"
		}
		text += "\n" + f.Excerpt
	}
	return strings.TrimSuffix(text, "\n")
}

func (e *Error) Hint() string {
	return cmp.Or(e.hint, "correct the configuration; nothing was contacted")
}

// excerpts gives each fault the line with the mistake, a caret, and the corrected line.
func (d *decoder) excerpts() {
	for i := range d.faults {
		f := &d.faults[i]
		line := []rune(uncommented(d.at(f.Line)))
		if len(line) == 0 {
			continue
		}
		shown := redactor(string(line), leaf(f.Key))
		caret := len([]rune(shown(string(line[:min(f.Column-1, len(line))]))))
		f.Excerpt = fmt.Sprintf("%6d | %s\n%6s | %s^\n", f.Line, shown(string(line)), "", strings.Repeat(" ", caret))
		if correct := shown(uncommented(f.correct)); correct != "" && correct != shown(string(line)) {
			f.Excerpt += fmt.Sprintf("%6s | %s\n", "write", correct)
		}
	}
}

// redactor returns a function that makes a part of line safe to show. As a secret may be anywhere
// by mistake, it shows no value if a key in the line is unknown or may have a secret, and never a
// value that looks like a secret. It always shows known keys, and the key also.
func redactor(line, also string) func(string) string {
	words := regexp.MustCompile(`[^\s\[\]{},'":=]+`)
	keyed := regexp.MustCompile(`(?:^|[{,]|- )\s*['"]?([^\s\[\]{},'":]+)['"]?\s*(?::\s|:$|=)`)
	open := true // values are shown
	named := keyed.FindAllStringSubmatch(line, -1)
	for _, m := range named {
		open = open && known(m[1]) && !private(m[1])
	}
	open = open && len(named) > 0 && !credentials(line)
	return func(part string) string {
		return words.ReplaceAllStringFunc(strings.ReplaceAll(foreign.Text(part), "\t", " "), func(w string) string {
			if w == "-" || w == also || known(w) || rules().Secrets[w] != "" || open && !looksSecret(w) {
				return w
			}
			return "…"
		})
	}
}

// quote returns value in quotes, for a message, or "the value" if it may be a secret.
func quote(key, value string) string {
	pathLike := regexp.MustCompile(`^(/|\.\.?/|~/|[A-Za-z]:[/\\]|\\\\)|\.(pem|crt|cer|key|keytab|csv|txt|conf|json|db|prom|token)$`)
	name := leaf(index.ReplaceAllString(key, ""))
	if !known(name) || private(name) && !pathLike.MatchString(value) || looksSecret(value) {
		return "the value"
	}
	return fmt.Sprintf("%q", value)
}

// private reports whether the value of a key may be a secret: an address that works like a
// password, or a secret itself where a path is wanted.
func private(key string) bool {
	return strings.HasSuffix(key, "_file") || slices.Contains([]string{"webhook", "healthcheck", "pushgateway", "path", "dir", "textfile", "keytab"}, key)
}

// credentials reports whether text has an address with a user or a query.
func credentials(text string) bool {
	_, rest, found := strings.Cut(text, "://")
	return found && strings.ContainsAny(rest, "@?")
}

// looksSecret reports whether a text has credentials, mixes letters and digits or upper and lower
// case as tokens and passwords do, or is very long.
func looksSecret(text string) bool { return secretLike().MatchString(text) || credentials(text) }

var secretLike = sync.OnceValue(func() *regexp.Regexp { // it takes long to compile, and is tried for each word
	return regexp.MustCompile(`\pL\d+\pL|[\pL\d]{21}|\pL{4}\pL*\d{2}|\pL{5}\d|\d{5}\d*\pL|(\p{Ll}\p{Lu}\pL*){4}|^.{19,}[+$^]`)
})

// withoutSecrets replaces the words of a message that look like secrets.
func withoutSecrets(message string) string {
	return regexp.MustCompile(`\S+`).ReplaceAllStringFunc(message, func(w string) string {
		if looksSecret(w) {
			return "…"
		}
		return w
	})
}

// known reports whether a word is the last part of a key.
func known(word string) bool {
	return slices.ContainsFunc(allKeys(), func(key string) bool { return leaf(key) == word })
}

// Causes of slips that the code names.
const (
	meaning  = "YAML gives the first character of this value a meaning"
	quoteIt  = "put the value in quotes"
	unclosed = "a quote is not closed"
)

// slip looks for a slip in line n, of any cause if cause is empty. If there is one, it completes f and returns true.
func (d *decoder) slip(f *Fault, n int, cause string) bool {
	line := uncommented(d.at(n)) // if a quote is not closed, the comment stays
	for _, s := range rules().Slips {
		if cause != "" && cause != s.Cause {
			continue
		}
		if m := s.Pattern.FindStringSubmatch(line); m != nil {
			f.Line, f.Column, f.Message, f.Instead = n, len([]rune(m[1]))+1, s.Cause, s.Instead
			f.correct = s.Pattern.ReplaceAllString(line, regexp.MustCompile(`\$(\d)`).ReplaceAllString(s.Correct, "$${$1}"))
			return true
		}
	}
	return false
}

// syntax makes a fault of the parser's error, in our words: the parser's may quote a secret.
func (d *decoder) syntax(err error) *Fault {
	f := &Fault{Message: "not valid YAML"}
	e, ok := errors.AsType[yaml.Error](err)
	if !ok || e.GetToken() == nil || e.GetToken().Position == nil {
		return f
	}
	f.Line, f.Column = e.GetToken().Position.Line, e.GetToken().Position.Column
	switch {
	case strings.Contains(e.GetMessage(), "already defined"):
		f.Message, f.Instead = "this key is here twice", "keep one"
	case d.slipBefore(f):
	case strings.Contains(e.GetMessage(), "not allowed in this context"):
		f.Message, f.Instead = "this line is indented unlike the one above it", "indent keys of one kind alike"
	default:
		return f
	}
	f.Message = "not valid YAML: " + f.Message
	return f
}

// slipBefore looks for the slip that made the parser stop. The parser notices an open quote
// anywhere after it, and other slips some lines later.
func (d *decoder) slipBefore(f *Fault) bool {
	stop := min(f.Line, len(d.lines))
	for n := 1; n <= stop; n++ {
		if d.slip(f, n, unclosed) {
			return true
		}
	}
	for n := stop; n > max(stop-6, 0); n-- {
		if d.slip(f, n, "") {
			return true
		}
	}
	return false
}

// uncommented returns a line without its comment and the spaces before that.
func uncommented(line string) string {
	for i := range line {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ') && strings.Count(line[:i], "'")%2+strings.Count(line[:i], `"`)%2 == 0 {
			line = line[:i]
			break
		}
	}
	return strings.TrimRight(line, " \r")
}

func inQuotes(v string) string {
	return "'" + strings.ReplaceAll(strings.TrimSpace(v), "'", "''") + "'"
}

// notList adds the fault that there is one value, or keys, where a list is wanted.
func (d *decoder) notList(node ast.Node, key string) {
	f, n := Fault{Key: key, Message: "want a list", Instead: "like [a, b]"}, node.GetToken().Position.Line
	text, scalar := scalarText(node)
	switch {
	case scalar && d.slip(&f, n, "a - needs a space after it"):
	case scalar:
		by := text
		if strings.ContainsAny(text, "[]{}'\"*&!%@`=") {
			by = inQuotes(text)
		}
		f.correct = replaceAfter(d.at(d.places[key].Line), leaf(key), text, "["+by+"]")
	case n > d.places[key].Line:
		line := uncommented(d.at(n))
		indent := len(line) - len(strings.TrimLeft(line, " "))
		f.Line, f.Column, f.Instead, f.correct = n, indent+1, "a - before the first key of each", line[:indent]+"- "+line[indent:]
	}
	d.add(f)
}

// replaceAfter returns line with the value after key replaced; empty if the line does not have this value.
func replaceAfter(line, key, value, by string) string {
	head, tail, found := strings.Cut(line, key+":")
	if q := strings.Index(tail, value); found && value != "" && by != "" && q >= 0 && strings.Trim(tail[:q], ` '"`) == "" {
		return head + key + ": " + by + strings.TrimLeft(tail[q+len(value):], `'"`)
	}
	return ""
}
