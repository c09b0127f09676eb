package config

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
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

// slips are mistakes in writing YAML that people make often: how the line looks, the cause,
// what to do, and the line as it was meant. The first group is what is right.
var slips = []struct{ pattern, cause, instead, correct string }{
	{`^( *)\t[ \t]*(.*)$`, "a tab indents this line", "indent with spaces", "$1  $2"},
	{`^(\s*)((?:- *)?[a-z_0-9]+)\s*=\s*(.*)$`, "= stands where a colon is wanted", "write KEY: VALUE", "$1$2: $3"},
	{`^(\s*)((?:- *)?[a-z_0-9]+):([^\s:/\\].*)$`, "a colon needs a space after it", "write KEY: VALUE", "$1$2: $3"},
	{`^(\s*(?:- +)?)([a-z_0-9]+)((?: +[^:=]+)?)$`, "a key needs a colon", "write KEY: VALUE", "$1$2:$3"},
	{`^(\s*)-([^\s-].*)$`, "a - needs a space after it", "write - VALUE", "$1- $2"},
	{"^(\\s*(?:- +)*(?:[a-z_0-9]+: +)?)([@`!&*%].*)$", meaning, quoteIt, "$1'$2'"},
	{"^(.*(?:: |[\\[,]) *)([@`!&*%][^],}]*)(.*)$", meaning, quoteIt, "$1'$2'$3"},
	{`^(.*)"([^"]*\\[^"]*)"(.*)$`, "YAML gives a backslash in double quotes a meaning", "use single quotes", "$1'$2'$3"},
	{`^(\s*(?:- +)*[a-z_0-9]+: +)([^'"\[{#].*:(?: .*)?)$`, "YAML takes a colon in a value for the end of a key", quoteIt, "$1'$2'"},
	{`^(.*: *)('[^'#]*?)(,? *[]}]*)( +#.*)?$`, unclosed, "close it", "$1$2'$3"},
	{`^(.*: *)("[^"#]*?)(,? *[]}]*)( +#.*)?$`, unclosed, "close it", `$1$2"$3`},
}

const (
	meaning  = "YAML gives the first character of this value a meaning"
	quoteIt  = "put the value in quotes"
	unclosed = "a quote is not closed"
)

// slip completes a fault if line n has one of the slips, or one with a certain cause.
func (d *decoder) slip(f *Fault, n int, cause string) bool {
	if n < 1 || n > len(d.lines) {
		return false
	}
	line := uncommented(d.lines[n-1]) // with the comment, if a quote is not closed
	for _, s := range slips {
		if cause != "" && cause != s.cause {
			continue
		}
		pattern := regexp.MustCompile(s.pattern)
		if m := pattern.FindStringSubmatch(line); m != nil {
			f.Line, f.Column, f.Message, f.Instead = n, len([]rune(m[1]))+1, s.cause, s.instead
			f.correct = pattern.ReplaceAllString(line, regexp.MustCompile(`\$(\d)`).ReplaceAllString(s.correct, "$${$1}"))
			return true
		}
	}
	return false
}

// syntax makes a fault of the parser's error, in our words: its own may quote a secret.
func (d *decoder) syntax(err error) *Fault {
	f := &Fault{Message: "not valid YAML"}
	e, ok := errors.AsType[yaml.Error](err)
	if !ok || e.GetToken() == nil || e.GetToken().Position == nil {
		return f
	}
	f.Line, f.Column = e.GetToken().Position.Line, e.GetToken().Position.Column
	switch {
	case strings.Contains(e.GetMessage(), "already defined"):
		f.Message, f.Instead = "this key stands here twice", "keep one"
	case d.slipBefore(f):
	case strings.Contains(e.GetMessage(), "not allowed in this context"):
		f.Message, f.Instead = "this line is indented unlike the one above it", "indent keys of one kind alike"
	default:
		return f
	}
	f.Message = "not valid YAML: " + f.Message
	return f
}

// slipBefore looks for the slip that made the parser stop. What is in quotes may end
// anywhere; the parser notices the others some lines later.
func (d *decoder) slipBefore(f *Fault) bool {
	stop := min(f.Line, len(d.lines))
	for n := 1; n <= stop; n++ {
		if d.slip(f, n, unclosed) {
			return true
		}
	}
	for n, tries := stop, 3; n > 0 && tries > 0; n-- {
		if d.slip(f, n, "") {
			return true
		}
		if uncommented(d.lines[n-1]) != "" {
			tries--
		}
	}
	return false
}

// uncommented is a line without its comment and the spaces before it.
func uncommented(line string) string {
	for i := range line {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ') && strings.Count(line[:i], "'")%2+strings.Count(line[:i], `"`)%2 == 0 {
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
	f, n := Fault{Key: key, Message: "want a list", Instead: "like [a, b]"}, d.lineOf(node)
	text, scalar := scalarText(node)
	switch {
	case scalar && d.slip(&f, n, "a - needs a space after it"):
	case scalar:
		by := text
		if strings.ContainsAny(text, "[]{}'\"*&!%@`=") {
			by = quoted(text)
		}
		f.correct = replaceAfter(d.line(key), leaf(key), text, "["+by+"]")
	case n > d.places[key].line && n <= len(d.lines):
		line := uncommented(d.lines[n-1])
		rest := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(rest)]
		f.Line, f.Column, f.Instead, f.correct = n, len(indent)+1, "a - before the first key of each", indent+"- "+rest
	}
	d.add(f)
}

// notKeys is the fault of one value, or of a list, where keys are wanted.
func (d *decoder) notKeys(node ast.Node, key string) {
	f := Fault{Key: key, Message: "want keys with values here"}
	if _, scalar := scalarText(node); !(scalar && d.slip(&f, d.lineOf(node), "")) && key == "" {
		f.Line, f.Column = d.lineOf(node), 1
	}
	d.add(f)
}

// lineOf is the line of a node; 0: it has none.
func (d *decoder) lineOf(node ast.Node) int {
	if t := node.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// replaceAfter is line with value, which follows key in it, replaced; empty if it does
// not stand there.
func replaceAfter(line, key, value, by string) string {
	head, tail, found := strings.Cut(line, key+":")
	if q := strings.Index(tail, value); found && value != "" && by != "" && q >= 0 && strings.Trim(tail[:q], ` '"`) == "" {
		return head + key + ": " + by + strings.TrimLeft(tail[q+len(value):], `'"`)
	}
	return ""
}
