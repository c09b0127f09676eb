package sources

import (
	"context"
	"fmt"
	"unicode/utf8"

	"photosync/sync/foreign"
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
	if !utf8.ValidString(value) {
		return fmt.Sprintf("%d bytes that are no text", len(value))
	}
	return foreign.Line(value, 200)
}
