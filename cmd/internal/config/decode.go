package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Fault is one mistake in the file.
type Fault struct {
	Line, Column int    // from 1; 0: the file as a whole
	Key          string // like sources[1].urls
	Message      string
	Instead      string // what to write instead
	Excerpt      string // the line and a caret below the place; may be empty
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

type place struct{ line, column int }

// decoder fills structs from YAML and collects every fault on the way.
type decoder struct {
	faults   []Fault
	warnings []string
	places   map[string]place // of every key that is set
}

// fault adds a mistake at the place of key, or of the nearest key above it.
func (d *decoder) fault(key, message, instead string) {
	at := d.places[key]
	for k := key; at.line == 0 && k != ""; {
		k = k[:max(strings.LastIndexAny(k, ".["), 0)]
		at = d.places[k]
	}
	d.faults = append(d.faults, Fault{Line: at.line, Column: at.column, Key: key, Message: message, Instead: instead})
}

// more is like fault, for a key that has none yet, and that is below none that has.
func (d *decoder) more(key, message, instead string) {
	if !slices.ContainsFunc(d.faults, func(f Fault) bool { return strings.HasPrefix(key, f.Key) || strings.HasPrefix(f.Key, key) }) {
		d.fault(key, message, instead)
	}
}

// decode returns the fault of a file that is no YAML at all; others are
// collected.
func (d *decoder) decode(data []byte, into any) *Fault {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return syntaxFault(err)
	}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			return &Fault{Message: "there is more than one YAML document", Instead: "keep one"}
		}
		if doc.Body != nil {
			d.value(doc.Body, reflect.ValueOf(into).Elem(), "")
		}
	}
	return nil
}

// syntaxFault takes position and message out of the parser's error, which would
// otherwise quote the file and whatever secret is in it.
func syntaxFault(err error) *Fault {
	f := &Fault{Message: "not valid YAML"}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		f.Message = "not valid YAML: " + e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			f.Line, f.Column = t.Position.Line, t.Position.Column
		}
	}
	return f
}

// value decodes node, found under key, into v.
func (d *decoder) value(node ast.Node, v reflect.Value, key string) {
	if t := node.GetToken(); key != "" && t != nil {
		if _, known := d.places[key]; !known {
			d.places[key] = place{t.Position.Line, t.Position.Column}
		}
	}
	if _, null := node.(*ast.NullNode); null {
		return // as if the key were not there
	}
	if text, _ := scalarText(node); strings.Contains(text, "${") {
		d.warnings = append(d.warnings, key+": ${…} is taken as it stands: write the value itself, as variables are not replaced")
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		text, scalar := scalarText(node)
		if !scalar {
			d.fault(key, "want one value here", "")
		} else if err := u.UnmarshalText([]byte(text)); err != nil {
			d.fault(key, err.Error(), "")
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(node, v, key)
	case reflect.Slice:
		d.list(node, v, key)
	case reflect.Map:
		d.table(node, v, key)
	default:
		d.scalar(node, v, key)
	}
}

func (d *decoder) structure(node ast.Node, v reflect.Value, key string) {
	known := keys(v.Type())
	d.pairs(node, key, func(name string, kv *ast.MappingValueNode) {
		full := strings.TrimPrefix(key+"."+name, ".")
		at := kv.Key.GetToken().Position
		_, twice := d.places[full]
		d.places[full] = place{at.Line, at.Column}
		i := slices.Index(known, name)
		switch {
		case twice:
			d.fault(full, "stands here twice", "keep one")
		case i < 0:
			d.fault(full, "unknown key", suggestion(name, known))
		default:
			d.value(kv.Value, v.Field(i), full)
		}
	})
}

// keys are the keys of a struct's fields in the file, in their order; those of
// fields that are not in the file are "-".
func keys(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("yaml")
	}
	return names
}

// suggestion names the known key nearest to name, or the places where name is
// known, or all keys that are known here.
func suggestion(name string, known []string) string {
	if instead, ok := inlineSecrets[name]; ok {
		return instead
	}
	here := slices.DeleteFunc(slices.Sorted(slices.Values(known)), func(k string) bool { return k == "-" })
	best, distance := "", min(4, 1+(len(name)+1)/2) // short words all look alike
	for _, k := range here {
		if n := edits(name, k); n < distance {
			best, distance = k, n
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if elsewhere := places(reflect.TypeFor[Config](), "", name); len(elsewhere) > 0 {
		return "its place is " + strings.Join(elsewhere, " or ")
	}
	return "known here: " + strings.Join(here, ", ")
}

// places are the full keys below t that end in name.
func places(t reflect.Type, key, name string) (found []string) {
	switch t.Kind() {
	case reflect.Slice:
		return places(t.Elem(), key+"[]", name)
	case reflect.Struct:
		for i, k := range keys(t) {
			full := strings.TrimPrefix(key+"."+k, ".")
			if k == name {
				found = append(found, full)
			}
			found = append(found, places(t.Field(i).Type, full, name)...)
		}
	}
	return found
}

// inlineSecrets are keys that people try, and that would put a secret into the
// configuration file.
var inlineSecrets = map[string]string{
	"token":         "put the token into a file and name it with token_file, or set SMARTSHEET_ACCESS_TOKEN",
	"bind_password": "put the password into a file and name it with bind_password_file, or set LDAP_BIND_PASSWORD",
	"client_secret": "put the secret into a file and name it with client_secret_file, or set SMARTSHEET_CLIENT_SECRET",
	"refresh_token": "put the token into a file and name it with refresh_token_file: it is rewritten whenever the token rotates",
	"password":      "put the password into a file and name it with bind_password_file, or set LDAP_BIND_PASSWORD",
}

// edits is the Levenshtein distance of two keys.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

func (d *decoder) list(node ast.Node, v reflect.Value, key string) {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		d.fault(key, "want a list", "like [a, b]")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, n := range seq.Values {
		d.value(n, out.Index(i), fmt.Sprintf("%s[%d]", key, i))
	}
	v.Set(out)
}

// table decodes a map of texts.
func (d *decoder) table(node ast.Node, v reflect.Value, key string) {
	out := map[string]string{}
	d.pairs(node, key, func(name string, kv *ast.MappingValueNode) {
		text, ok := scalarText(kv.Value)
		if !ok {
			d.fault(key, fmt.Sprintf("the value of %q is not a text", name), "")
			return
		}
		out[name] = text
	})
	v.Set(reflect.ValueOf(out))
}

// pairs calls f for every key of a mapping.
func (d *decoder) pairs(node ast.Node, key string, f func(name string, kv *ast.MappingValueNode)) {
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		d.fault(key, "want keys with values here", "")
		return
	}
	for _, kv := range values {
		f(kv.Key.GetToken().Value, kv)
	}
}

func (d *decoder) scalar(node ast.Node, v reflect.Value, key string) {
	text, ok := scalarText(node)
	if !ok {
		d.fault(key, "want one value here, not a list or keys", "")
		return
	}
	switch v.Kind() {
	case reflect.String:
		if _, isBool := node.(*ast.BoolNode); isBool {
			d.fault(key, fmt.Sprintf("want a text, not %s", text), "put it in quotes if it is meant as text")
			return
		}
		v.SetString(text)
	case reflect.Bool:
		b, ok := node.(*ast.BoolNode)
		if !ok {
			d.fault(key, fmt.Sprintf("want true or false, not %q", text), "")
			return
		}
		v.SetBool(b.Value)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			d.fault(key, fmt.Sprintf("want a whole number, not %q", text), "")
			return
		}
		v.SetInt(int64(n))
	}
}

// scalarText is the text of a single value.
func scalarText(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, true
	}
	return "", false
}
