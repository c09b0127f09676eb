package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// decoder fills a configuration from YAML and collects every fault on the way.
type decoder struct {
	c          Config
	env        func(string) string
	lines      []string
	faults     []Fault
	places     map[string]token.Position // of every key that is set
	meant      []string                  // keys that were probably meant by unknown ones
	incomplete bool                      // the parser may have lost the text after a value with a tag
}

// warn adds a warning about what is allowed, but not wise.
func (d *decoder) warn(format string, values ...any) {
	d.c.Warnings = append(d.c.Warnings, fmt.Sprintf(format, values...))
}

// fault adds a mistake at the place of key, or of the nearest key above it.
func (d *decoder) fault(key, message, instead string) {
	d.add(Fault{Key: key, Message: message, Instead: instead})
}

func (d *decoder) missing(key, message, instead string) {
	if !d.incomplete && !slices.ContainsFunc(d.meant, func(m string) bool { return within(key, m) }) {
		d.fault(key, message, instead)
	}
}

// faultWithFix is like fault, and shows the line with the value replaced by another.
func (d *decoder) faultWithFix(key, message, instead, value, by string) {
	d.add(Fault{Key: key, Message: message, Instead: instead, correct: replaceAfter(d.at(d.places[key].Line), leaf(key), value, by)})
}

// add adds a fault, and its place if it has none. It drops a fault that follows from another one:
// each mistake is reported once.
func (d *decoder) add(f Fault) {
	if d.hasFault(f.Key) {
		return
	}
	for k := f.Key; f.Line == 0 && k != ""; k = k[:max(strings.LastIndexAny(k, ".["), 0)] {
		f.Line, f.Column = d.places[k].Line, d.places[k].Column
	}
	d.faults = append(d.faults, f)
}

// hasFault reports whether there is a fault about key, or about a key above or below it.
func (d *decoder) hasFault(key string) bool {
	return slices.ContainsFunc(d.faults, func(f Fault) bool { return within(key, f.Key) || within(f.Key, key) })
}

// within reports whether key is the key above, or is below it.
func within(key, above string) bool {
	rest, ok := strings.CutPrefix(key, above)
	return ok && (above == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// decode fills the configuration, and does all checks that need only the file. If the file is not
// YAML at all, it returns that fault; it collects all others.
func (d *decoder) decode(data []byte) *Fault {
	data = bytes.ReplaceAll(bytes.TrimPrefix(data, []byte("\ufeff")), []byte("\r\n"), []byte("\n"))
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return &Fault{Message: "this is not a text in UTF-8", Instead: "save the file as UTF-8; Windows calls UTF-16 \"Unicode\""}
	}
	d.lines = strings.Split(string(data), "\n")
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return d.syntax(err)
	}
	whole := reflect.ValueOf(&d.c).Elem()
	fill(whole)
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			return &Fault{Message: "there is more than one YAML document", Instead: "keep one"}
		}
		if doc.Body != nil {
			d.value(doc.Body, whole, "")
		}
	}
	walk(whole, "", "", d.check)
	d.validate()
	walk(whole, "", "", d.require)
	return nil
}

func (d *decoder) value(node ast.Node, v reflect.Value, key string) {
	if text, _ := scalarText(node); strings.TrimSpace(text) == "" && slices.Contains([]string{"exclude_filter", "member_of", "email_attributes[0]"}, leaf(key)) { // it would mean everybody
		d.fault(key, "there is no value", "give it one, or remove the line")
	}
	_, isText := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	switch kind := v.Kind(); node.(type) {
	case *ast.NullNode: // the same as a missing key
		defer delete(d.places, key)
		if head, colour, found := strings.Cut(d.at(d.places[key].Line), "background: #"); found && key == "image.background" && strings.TrimSpace(colour) == colour {
			d.add(Fault{Key: key, Message: "# begins a comment", Instead: quoteIt, correct: head + "background: " + inQuotes("#"+colour)})
		}
	case *ast.TagNode, *ast.AnchorNode, *ast.AliasNode:
		f := Fault{Key: key, Message: meaning, Instead: quoteIt}
		d.incomplete = true
		d.slip(&f, node.GetToken().Position.Line, meaning)
		if kind == reflect.Struct || kind == reflect.Map {
			f.Instead, f.correct = "remove it", ""
		}
		d.add(f)
	default:
		switch {
		case kind == reflect.Struct && !isText:
			d.structure(node, v, key)
		case kind == reflect.Slice:
			d.list(node, v, key)
		case kind == reflect.Map:
			if err := yaml.NodeToValue(node, v.Addr().Interface()); err != nil {
				d.fault(key, "want keys with one value each", "like {corp.local: example.com}")
			}
		default:
			d.scalar(node, v, key)
		}
	}
}

// at returns line n; empty if there is none.
func (d *decoder) at(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	return d.lines[n-1]
}

func (d *decoder) structure(node ast.Node, v reflect.Value, key string) {
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		f, line := Fault{Key: key, Message: "want keys with values here"}, node.GetToken().Position.Line
		switch _, scalar := scalarText(node); {
		case scalar && d.slip(&f, line, ""):
		case key == "":
			f.Line, f.Column = line, 1
		}
		d.add(f)
		return
	}
	known := keys(v.Type())
	for _, kv := range mapping.Values {
		name := kv.Key.GetToken()
		full := below(key, name.Value)
		d.places[full] = *name.Position
		if i := slices.Index(known, name.Value); i >= 0 {
			d.value(kv.Value, v.Field(i), full)
		} else {
			d.unknown(full, name.Value, key, known)
		}
	}
}

// unknown adds the fault of a key that does not exist. It shows the key only if that is similar to
// an existing one: otherwise it may be a secret.
func (d *decoder) unknown(full, name, parent string, known []string) {
	f := Fault{Line: d.places[full].Line, Column: d.places[full].Column, Key: full, Message: "unknown key"}
	known = slices.DeleteFunc(slices.Sorted(slices.Values(known)), func(k string) bool { return k == "-" })
	elsewhere := slices.DeleteFunc(slices.Clone(allKeys()), func(key string) bool { return leaf(key) != name })
	switch meant := nearest(name, known); {
	case rules().Secrets[name] != "":
		f.Instead = rules().Secrets[name]
	case meant != "":
		d.meant = append(d.meant, below(parent, meant))
		f.Instead, f.correct = fmt.Sprintf("did you mean %q?", meant), strings.Replace(d.at(d.places[full].Line), name, meant, 1)
	case len(elsewhere) > 0:
		f.Instead = "its place is " + strings.Join(elsewhere, " or ")
	default:
		f.Key, f.Instead = below(parent, "…"), "known here: "+strings.Join(known, ", ")
	}
	d.faults = append(d.faults, f)
}

// nearest returns the word that name was probably meant to be; empty if none is similar.
func nearest(name string, words []string) (best string) {
	letters := func(s string) []byte { return slices.Sorted(slices.Values([]byte(s))) }
	distance := min(4, 1+(len(name)+1)/2) // all short words are similar
	for _, w := range words {
		if slices.Equal(letters(name), letters(w)) {
			return w // two letters were swapped
		}
		if n := levenshtein.ComputeDistance(name, w); n < distance {
			best, distance = w, n
		}
	}
	return best
}

func (d *decoder) list(node ast.Node, v reflect.Value, key string) {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		d.notList(node, key)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, n := range seq.Values {
		member := fmt.Sprintf("%s[%d]", key, i)
		d.places[member] = *n.GetToken().Position
		d.value(n, v.Index(i), member)
	}
}

func (d *decoder) scalar(node ast.Node, v reflect.Value, key string) {
	text, ok := scalarText(node)
	if !ok {
		d.fault(key, "want one value here, not a list or keys", "")
		return
	}
	if strings.Contains(text, "${") {
		d.warn("%s: ${…} is taken as it stands: write the value itself, as variables are not replaced", key)
	}
	_, isBool := node.(*ast.BoolNode)
	err := set(v, text)
	switch kind := v.Kind(); {
	case kind == reflect.Bool && !isBool:
		word := strconv.FormatBool(slices.Contains([]string{"yes", "on", "1", "True", "TRUE"}, text))
		d.faultWithFix(key, "want true or false, not "+quote(key, text), "", text, word)
	case kind == reflect.String && isBool:
		d.faultWithFix(key, "want a text, not "+text, "put it in quotes if it is meant as text", text, inQuotes(text))
	case err != nil:
		d.fault(key, quote(key, text)+" "+err.Error(), "")
	}
}

// set gives v the value that the file writes as text; a list has its members with commas.
func set(v reflect.Value, text string) (err error) {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(text == "true")
	case reflect.Slice:
		v.Set(reflect.ValueOf(strings.Split(text, ", ")))
	case reflect.Int:
		var n int
		if n, err = strconv.Atoi(text); err != nil {
			err = errors.New("is not a whole number")
		}
		v.SetInt(int64(n))
	}
	return err
}

func scalarText(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, true
	}
	return "", false
}
