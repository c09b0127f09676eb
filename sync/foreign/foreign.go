// Package foreign makes text from outside safe to show: answers of servers, and names in
// directories and folders. The author of such a text must not be able to control a terminal,
// forge a line of the log, reverse the direction of a text, or have a spreadsheet run a formula.
//
// It is the one place that knows which characters are dangerous. Errors of servers pass through
// Line where they are read; terminal, log, report and notices pass what they show through Text or
// Clean. The package also knows which hosts are this machine, and so not outside.
package foreign

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// dangerous reports whether a terminal, an editor or a browser acts on a character instead of
// showing it: control characters (escape sequences begin with one), characters that change the
// direction of text (Unicode Standard Annex 9), line separators, and invisible tags.
func dangerous(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) || r >= 0xE0000 && r <= 0xE007F
}

// Text replaces the dangerous characters of a text, and bytes that are not UTF-8, by U+FFFD. It
// keeps line feeds and tabs.
func Text(text string) string {
	harmless := 0 // bytes, of nearly all text all
	for harmless < len(text) && ' ' <= text[harmless] && text[harmless] <= '~' {
		harmless++
	}
	return text[:harmless] + strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && dangerous(r) {
			return utf8.RuneError
		}
		return r
	}, text[harmless:])
}

// Line returns text as one line of at most limit characters. It replaces white space and dangerous
// characters by a space.
func Line(text string, limit int) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(text, "�"), func(r rune) bool { return unicode.IsSpace(r) || dangerous(r) })
	text = strings.Join(words, " ")
	if r := []rune(text); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return text
}

// WithoutPath returns err without the operation and the path of a file, for messages that already name the file.
func WithoutPath(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}

// Loopback reports whether a host, with or without a port, is this machine itself: nobody else can
// read what is sent there.
func Loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")).IsLoopback()
}

// Writer passes whole lines of JSON through Text.
type Writer struct{ io.Writer }

func (w Writer) Write(line []byte) (int, error) {
	_, err := io.WriteString(w.Writer, Text(string(line)))
	return len(line), err
}

// Clean passes all strings in the value that p points to through Text, of a map its keys.
func Clean(p any) { clean(reflect.ValueOf(p).Elem()) }

func clean(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(Text(v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			clean(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			clean(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if text := Text(key.String()); text != key.String() {
				v.SetMapIndex(reflect.ValueOf(text).Convert(key.Type()), v.MapIndex(key))
				v.SetMapIndex(key, reflect.Value{})
			}
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			if field.CanSet() {
				clean(field)
			}
		}
	}
}

// Cell returns text for a cell of a spreadsheet that no program takes for a formula. Where a comma
// is the decimal sign, spreadsheets also begin a cell after a semicolon.
func Cell(text string) string {
	const formula, apart = "=+-@＝＋－＠", ";\t\r\n"
	if !strings.ContainsAny(text, apart) && strings.IndexAny(text, formula+` "'`) != 0 {
		return text // nearly always
	}
	var out strings.Builder
	begins := true // a cell may begin here
	for i, r := range text {
		if begins && strings.ContainsRune(formula, r) || i == 0 && strings.ContainsRune(apart, r) {
			out.WriteByte('\'')
		}
		begins = strings.ContainsRune(apart, r) || begins && strings.ContainsRune(` "'`, r)
		out.WriteRune(r)
	}
	return out.String()
}
