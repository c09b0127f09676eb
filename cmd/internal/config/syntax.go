package config

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// text is data without a byte order mark. A file that is not UTF-8 is a fault.
func text(data []byte) ([]byte, *Fault) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, &Fault{Message: "this is not a text in UTF-8", Instead: "save the file as UTF-8; Windows calls UTF-16 \"Unicode\""}
	}
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), nil
}

// A slip is a mistake in writing YAML that people make often: how the line looks, its
// cause, and the line as it was meant, made of the groups of the pattern.
type slip struct {
	pattern        *regexp.Regexp
	cause, instead string
	correct        func(m []string) string
}

var slips = sync.OnceValue(func() []slip {
	const key = `(\s*(?:- +)*[a-z_0-9]+: +)`
	re := regexp.MustCompile
	return []slip{
		{re(`^(\s*)((?:- *)?[a-z_0-9]+)\s*=\s*(.*)$`), "= stands where a colon is wanted", "write KEY: VALUE", func(m []string) string { return m[1] + m[2] + ": " + m[3] }},
		{re(`^` + key + "([@`!&*%].*)$"), "YAML gives the first character of this value a meaning", "put the value in quotes", func(m []string) string { return m[1] + quoted(m[2]) }},
		{re(`^(\s*- +)` + "([@`!&*%].*)$"), "YAML gives the first character of this value a meaning", "put the value in quotes", func(m []string) string { return m[1] + quoted(m[2]) }},
		{re(`^(.*[\[,] *)` + "([@`!&*%][^],]*)(.*)$"), "YAML gives the first character of this value a meaning", "put the value in quotes", func(m []string) string { return m[1] + quoted(m[2]) + m[3] }},
		{re(`^(.*: +)` + "([@`!&*%][^,}]*)(.*)$"), "YAML gives the first character of this value a meaning", "put the value in quotes", func(m []string) string { return m[1] + quoted(m[2]) + m[3] }},
		{re(`^(.*)"([^"]*\\[^"]*)"(.*)$`), "YAML gives a backslash in double quotes a meaning", "use single quotes", func(m []string) string { return m[1] + quoted(m[2]) + m[3] }},
		{re(`^(.*: *)'([^']*)$`), "a quote is not closed", "close it", func(m []string) string { return m[0] + "'" }},
		{re(`^(.*: *)"([^"]*)$`), "a quote is not closed", "close it", func(m []string) string { return m[0] + `"` }},
		{re(`^` + key + `([^'"\[{#].*:(?: .*)?)$`), "YAML takes a colon in a value for the end of a key", "put the value in quotes", func(m []string) string { return m[1] + quoted(m[2]) }},
		{re(`^(\s*(?:- +)?[a-z_0-9]+)\s*$`), "a key needs a colon", "write KEY: VALUE", func(m []string) string { return m[1] + ":" }},
	}
})

// syntax makes a fault of the parser's error, in our words: its own may quote a secret.
func (d *decoder) syntax(err error) *Fault {
	f := &Fault{Message: "not valid YAML"}
	e, ok := errors.AsType[yaml.Error](err)
	if !ok || e.GetToken() == nil || e.GetToken().Position == nil {
		return f
	}
	f.Line, f.Column = e.GetToken().Position.Line, e.GetToken().Position.Column
	if f.Line > len(d.lines) {
		return f
	}
	if strings.Contains(e.GetMessage(), "already defined") {
		f.Message, f.Instead = "not valid YAML: this key stands here twice", "keep one"
		return f
	}
	for _, n := range []int{f.Line, f.Line - 1} { // the parser may notice it a line later
		if n > 0 && d.slip(f, n) {
			break
		}
	}
	return f
}

// slip completes a fault if line n has one of the usual mistakes.
func (d *decoder) slip(f *Fault, n int) bool {
	set := func(column int, cause, instead, correct string) bool {
		f.Line, f.Message, f.Instead, f.correct = n, "not valid YAML: "+cause, instead, correct
		if column > 0 {
			f.Column = column
		}
		return true
	}
	line := uncommented(d.lines[n-1])
	rest := strings.TrimLeft(line, " \t")
	indent := line[:len(line)-len(rest)]
	if i := strings.IndexByte(indent, '\t'); i >= 0 {
		return set(i+1, "a tab indents this line", "indent with spaces", strings.ReplaceAll(indent, "\t", "  ")+rest)
	}
	for _, s := range slips() {
		if m := s.pattern.FindStringSubmatch(line); m != nil {
			column := len([]rune(indent)) + 1
			if len(m) > 2 { // the first group is what is right
				column = len([]rune(m[1])) + 1
			}
			return set(column, s.cause, s.instead, s.correct(m))
		}
	}
	if whole := closed(line); whole != line {
		return set(0, "a bracket is not closed", "close it", whole)
	}
	if above := d.indentAbove(n); above >= 0 && above != len(indent) && n == f.Line {
		return set(len(indent)+1, "this line is indented unlike the one above it", "indent keys of one kind alike", strings.Repeat(" ", above)+rest)
	}
	return false
}

// closed is a line with the closing brackets that it lacks.
func closed(line string) string {
	var b strings.Builder
	var open []byte
	closing := map[byte]byte{'[': ']', '{': '}'}
	for i := range len(line) {
		switch c := line[i]; {
		case quotedAt(line, i):
		case c == '[' || c == '{':
			open = append(open, c)
		case c == ']' || c == '}':
			for len(open) > 0 && closing[open[len(open)-1]] != c {
				b.WriteByte(closing[open[len(open)-1]])
				open = open[:len(open)-1]
			}
			open = open[:max(len(open)-1, 0)]
		}
		b.WriteByte(line[i])
	}
	for len(open) > 0 {
		b.WriteByte(closing[open[len(open)-1]])
		open = open[:len(open)-1]
	}
	return b.String()
}

// indentAbove is how far the key in the line above line n is indented; -1: there is none.
func (d *decoder) indentAbove(n int) int {
	for i := n - 2; i >= 0; i-- {
		if l := uncommented(d.lines[i]); strings.TrimSpace(l) != "" {
			return len(l) - len(strings.TrimLeft(l, " -"))
		}
	}
	return -1
}

// uncommented is a line without its comment and the spaces before it.
func uncommented(line string) string {
	for i := range line {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ') && !quotedAt(line, i) {
			line = line[:i]
			break
		}
	}
	return strings.TrimRight(line, " \r")
}

// quoted is a value in YAML's single quotes.
func quoted(v string) string {
	return "'" + strings.ReplaceAll(strings.TrimSpace(v), "'", "''") + "'"
}

// notList is the fault of one value, or of keys, where a list is wanted.
func (d *decoder) notList(node ast.Node, key string) {
	f, at := Fault{Key: key}, node.GetToken().Position
	line := ""
	if at != nil && at.Line <= len(d.lines) {
		line = uncommented(d.lines[at.Line-1])
	}
	text, scalar := scalarText(node)
	message, instead := "want a list", "like [a, b]"
	switch rest := strings.TrimLeft(line, " "); {
	case scalar && strings.HasPrefix(rest, "-") && !strings.HasPrefix(rest, "- "):
		message, instead = "want a list: a - needs a space after it", ""
		f.correct = strings.Replace(line, "-", "- ", 1)
		f.Line, f.Column = at.Line, len(line)-len(rest)+1
	case scalar:
		items := strings.Split(text, ",")
		for i, item := range items {
			if items[i] = strings.TrimSpace(item); strings.ContainsAny(items[i], "[]{}:#'\"*&!%@`") && !strings.Contains(items[i], "://") {
				items[i] = quoted(item)
			}
		}
		if strings.Contains(text, "=") { // a DN has commas of its own
			items = []string{quoted(text)}
		}
		f.correct = replaceAfter(d.line(key), leaf(key), text, "["+strings.Join(items, ", ")+"]")
	case !strings.Contains(d.line(key), "{"):
		message, instead = "want a list", "a - before the first key of each"
		f.correct = line[:len(line)-len(rest)] + "- " + rest
		f.Line, f.Column = at.Line, len(line)-len(rest)+1
		if at.Line == d.places[key].line {
			f.Line, f.correct = 0, ""
		}
	}
	d.add(f, message, instead)
}

// notKeys is the fault of one value, or of a list, where keys are wanted.
func (d *decoder) notKeys(node ast.Node, key string) {
	f, at := Fault{Key: key}, node.GetToken().Position
	message, instead := "want keys with values here", ""
	if text, scalar := scalarText(node); scalar && at != nil && at.Line <= len(d.lines) {
		line := uncommented(d.lines[at.Line-1])
		name, value, colon := strings.Cut(text, ":")
		rest := strings.TrimLeft(line, " ")
		m := slips()[0].pattern.FindStringSubmatch(line)
		switch {
		case colon && knownKeys()[name] && value != "":
			message, instead = "a colon needs a space after it", "write KEY: VALUE"
			f.Key = strings.TrimPrefix(key+"."+name, ".")
			f.correct = strings.Replace(line, name+":", name+": ", 1)
		case m != nil:
			message, instead = slips()[0].cause, slips()[0].instead
			f.correct = slips()[0].correct(m)
		}
		if f.correct != "" || key == "" {
			f.Line, f.Column = at.Line, len(line)-len(rest)+1
		}
	}
	d.add(f, message, instead)
}

// leaf is the last part of a key.
func leaf(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// replaceAfter is line with value, which follows key in it, replaced; empty if it does
// not stand there.
func replaceAfter(line, key, value, by string) string {
	i := strings.Index(line, key+":")
	if i < 0 || value == "" || by == "" {
		return ""
	}
	head, tail := line[:i+len(key)+1], line[i+len(key)+1:]
	if q := strings.Index(tail, value); q >= 0 && strings.Trim(tail[:q], ` '"`) == "" {
		return head + " " + by + strings.TrimLeft(tail[q+len(value):], `'"`)
	}
	return ""
}

// quoteAfter is line with the value that follows marker in quotes.
func quoteAfter(line, marker string) string {
	i := strings.Index(line, marker)
	if i < 0 {
		return ""
	}
	head, value, tail := line[:i+len(marker)], strings.TrimSpace(line[i+len(marker):]), ""
	if strings.Contains(head, "{") {
		if end := strings.IndexAny(value, ",}"); end >= 0 {
			value, tail = value[:end], value[end:]
		}
	} else if value[:min(1, len(value))] != "#" {
		value = uncommented(value)
	}
	return head + " " + quoted(value) + tail
}
