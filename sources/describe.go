package sources

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fact is something that a source knows of a person, for people to read.
type Fact struct {
	Name  string `json:"name"` // of an attribute, or what it is
	Value string `json:"value"`
}

// Describer is a Source that knows more about an entry than List gives: the
// attributes with the addresses and the photos, the file's size and time.
type Describer interface {
	Describe(ctx context.Context, ref Ref) ([]Fact, error)
}

// Describe returns what src knows about ref; nil if it is not a Describer.
func Describe(ctx context.Context, src Source, ref Ref) ([]Fact, error) {
	if d, ok := src.(Describer); ok {
		return d.Describe(ctx, ref)
	}
	return nil, nil
}

// Text returns a foreign value as it may be shown: without control characters and
// cut to 200 characters. Of a value that is not text it gives the size.
func Text(value string) string {
	const shown = 200
	if !utf8.ValidString(value) {
		return fmt.Sprintf("%d bytes that are no text", len(value))
	}
	value = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, value)
	if r := []rune(value); len(r) > shown {
		return string(r[:shown]) + "…"
	}
	return value
}
