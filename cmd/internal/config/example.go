package config

import (
	"embed"
	"slices"
	"strings"
)

var (
	//go:embed example.yaml
	example []byte
	//go:embed schema.json
	schema []byte
	//go:embed start
	start embed.FS
)

// Example returns a commented configuration file with every key. The one at the
// root of the repository is a copy of it; embedding cannot reach up there.
func Example() []byte { return slices.Clone(example) }

// Start returns a short configuration for one kind of source, ad, openldap or folder,
// with the whole example as comments below.
func Start(kind string) ([]byte, error) {
	short, err := start.ReadFile("start/" + kind + ".yaml")
	if err != nil {
		return nil, err
	}
	short = append(short, "\n# ---- Every key, with its default or an example ----\n#\n"...)
	for line := range strings.Lines(string(example)) {
		short = append(short, strings.TrimRight("# "+line, " \n")+"\n"...)
	}
	return short, nil
}

// Schema returns a JSON Schema (draft 7, which editors know) of the configuration file. It
// is made of the fields that the decoder fills, their defaults, the rules that the program
// checks, and the comments of the example: go test -update writes it anew.
func Schema() []byte { return slices.Clone(schema) }
