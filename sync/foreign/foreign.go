// Package foreign makes text that comes from outside fit to be shown: what servers answer,
// and names in directories and folders. Whoever chose it must not write on a terminal, forge
// a line of the log, turn the direction of a text, or have a spreadsheet run a formula.
//
// It is the one place that knows which characters are dangerous. Errors of servers pass
// through Line where they are read; terminal, log, report and notices pass what they show
// through Text or Clean. It also knows which hosts are this machine, and so not outside.
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
// showing it: control characters (escape sequences begin with one), those that turn the
// direction of text (Unicode Standard Annex 9), line separators, and tags that nobody sees.
func dangerous(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) || r >= 0xE0000 && r <= 0xE007F
}

// Text replaces the dangerous characters of a text, and what is not UTF-8, by U+FFFD. It
// keeps the ends of lines and tabs.
func Text(text string) string {
	asItIs := func(r rune) bool { return r == '\n' || r == '\t' || ' ' <= r && r <= '~' } // nearly all text is
	if !strings.ContainsFunc(text, func(r rune) bool { return !asItIs(r) }) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if !asItIs(r) && dangerous(r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// Line is text on one line of at most limit characters: a space takes the place of white
// space and of dangerous characters.
func Line(text string, limit int) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(text, "�"), func(r rune) bool { return unicode.IsSpace(r) || dangerous(r) })
	text = strings.Join(words, " ")
	if r := []rune(text); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return text
}

// WithoutPath is err without the operation and the path of a file, for messages that name the
// file themselves.
func WithoutPath(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}

// Loopback reports whether a host, with a port or without, is this machine itself: nobody else
// can read what is sent to it.
func Loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")).IsLoopback()
}

// Writer does to whole lines of JSON what Text does.
type Writer struct{ io.Writer }

func (w Writer) Write(line []byte) (int, error) {
	_, err := io.WriteString(w.Writer, Text(string(line)))
	return len(line), err
}

// Clean does to all texts below p, which is a pointer, what Text does.
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
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				clean(v.Field(i))
			}
		}
	}
}

// Cell is text for a cell of a spreadsheet, none of it a formula. Where a comma is the decimal
// sign, spreadsheets also begin a cell after a semicolon.
func Cell(text string) string {
	const formula, apart = "=+-@＝＋－＠", ";\t\r\n"
	if !strings.ContainsAny(text, apart) && strings.IndexAny(text, formula+` "'`) != 0 {
		return text // as nearly all are
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
