package sources

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "Łukasz <a@b.c>": "Łukasz <a@b.c>", "\x1b[2Jx\n": "[2Jx", "a\u202eb": "a b", "\xff\xd8\xff": "3 bytes that are not text",
		strings.Repeat("ä", 300): strings.Repeat("ä", 200) + "…",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}
