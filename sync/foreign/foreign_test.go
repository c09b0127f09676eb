package foreign

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Names of all scripts stay as they are; what acts on a terminal does not.
func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"Łukasz Żak": "Łukasz Żak", "山田太郎": "山田太郎", "می\u200cخواهم": "می\u200cخواهم", "👩\u200d💻": "👩\u200d💻", "a\n\tb": "a\n\tb", "": "",
		"\x1b]0;owned\a": "�]0;owned�", "\u009b2J": "�2J", "a\rb": "a�b", "a\x00b\x7f": "a�b�", "evil\u202egnp.exe": "evil�gnp.exe",
		"\u2066x\u2069": "�x�", "a\u200fb": "a�b", "a\u2028b": "a�b", "a\U000E0041b": "a�b", "a\xffb": "a�b",
	} {
		if got := Text(text); got != want {
			t.Errorf("Text(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"no": "no", " a\r\n b\tc ": "a b c", "\x1b[31mr\x1b[0m": "[31mr [0m", "a\x00": "a", "\xff": "�", "Łódź": "Łódź", "0123456789x": "0123456789…", "a\u202eb": "a b",
	} {
		if got := Line(text, 10); got != want {
			t.Errorf("Line(%q) = %q, want %q", text, got, want)
		}
	}
}

// What is sent to these hosts stays on this machine; of the others nobody knows.
func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8080": true, "127.0.0.1": true, "127.9.9.9:1": true, "::1": true, "[::1]": true, "[::1]:80": true,
		"": false, ":80": false, "0.0.0.0": false, "10.0.0.1": false, "localhost.example.com": false, "127.0.0.1.example.com:80": false, "::": false,
	} {
		if got := Loopback(host); got != want {
			t.Errorf("Loopback(%q) = %t", host, got)
		}
	}
}

func TestWithoutPath(t *testing.T) {
	_, read := os.ReadFile("/nowhere/x")
	for _, err := range []error{read, os.Rename("/nowhere/x", "/nowhere/y"), fs.ErrNotExist} {
		if got := WithoutPath(err); strings.Contains(got.Error(), "nowhere") || !errors.Is(got, fs.ErrNotExist) {
			t.Errorf("%v became %v", err, got)
		}
	}
}

// Nothing that comes out is dangerous, and what is harmless comes out as it is.
func TestNothingDangerous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[\x00-\x{9f}\x{200b}-\x{206f}a-z;=]*`)).Draw(t, "text")
		bad := func(r rune) bool {
			return r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028'
		}
		for _, got := range []string{Text(text), Line(text, 100)} {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, bad) {
				t.Errorf("%q became %q", text, got)
			}
		}
		if got := Text(text); Text(got) != got || !strings.ContainsFunc(text, bad) && !strings.ContainsFunc(text, dangerous) && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func TestClean(t *testing.T) {
	type key string
	type inner struct{ Text string }
	type all struct {
		Text    string
		List    []string
		Inner   inner
		Pointer *inner
		None    *inner
		Many    []inner
		Keys    map[key]int
		N       int
		At      time.Time
		private string
	}
	const evil, mended = "a\x1bb", "a�b"
	at := time.Now()
	got := &all{evil, []string{evil}, inner{evil}, &inner{evil}, nil, []inner{{evil}}, map[key]int{evil: 3, "b": 4}, 7, at, evil}
	Clean(got)
	want := &all{mended, []string{mended}, inner{mended}, &inner{mended}, nil, []inner{{mended}}, map[key]int{mended: 3, "b": 4}, 7, at, evil}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(all{})); diff != "" {
		t.Error(diff)
	}
}

func TestCell(t *testing.T) {
	for text, want := range map[string]string{
		"ann@example.com": "ann@example.com", "": "", "a-b": "a-b", "a; b": "a; b", "=1+1": "'=1+1", "+49": "'+49", "-2": "'-2", "@SUM(1)": "'@SUM(1)", "\tx": "'\tx",
		"＝1": "'＝1", " =1": " '=1", `"=1`: `"'=1`, "a;=cmd|' /C calc'!A0": "a;'=cmd|' /C calc'!A0", "a; =1;+2": "a; '=1;'+2", "a\t=1\n-2": "a\t'=1\n'-2", "a;;=1": "a;;'=1", "\t=1": "'\t'=1",
	} {
		if got := Cell(text); got != want {
			t.Errorf("Cell(%q) = %q, want %q", text, got, want)
		}
	}
}

// Whichever character a spreadsheet takes for the border of a cell, no cell is a formula, and
// nothing is lost.
func TestCellIsNoFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`([-=+@;\t\r\n "']|[a-z])*`)).Draw(t, "text")
		got := Cell(text)
		for _, cell := range strings.FieldsFunc(got, func(r rune) bool { return strings.ContainsRune(";\t\r\n", r) }) {
			if cell = strings.TrimLeft(cell, ` "`); cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
				t.Errorf("%q has the cell %q", got, cell)
			}
		}
		if strings.ReplaceAll(got, "'", "") != strings.ReplaceAll(text, "'", "") {
			t.Errorf("%q became %q", text, got)
		}
	})
}
