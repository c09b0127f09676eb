package config

import (
	_ "embed"
	"slices"
)

//go:embed example.yaml
var example []byte

// Example returns a commented configuration file with every key. The one at the
// root of the repository is a copy of it; embedding cannot reach up there.
func Example() []byte { return slices.Clone(example) }
