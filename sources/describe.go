package sources

import "context"

// Fact is something that a source knows of a person, for people to read.
type Fact struct {
	Name  string `json:"name"` // of an attribute, or what it is
	Value string `json:"value"`
}

// Describer is a Source that can say more of an entry than List does: the
// attributes with the addresses and the photos, the file's size and time.
type Describer interface {
	Describe(ctx context.Context, ref Ref) ([]Fact, error)
}

// Describe asks src about ref; nil if it has nothing to say.
func Describe(ctx context.Context, src Source, ref Ref) ([]Fact, error) {
	if d, ok := src.(Describer); ok {
		return d.Describe(ctx, ref)
	}
	return nil, nil
}
