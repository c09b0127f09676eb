package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// makeReference makes the reference of the configuration file, in Markdown. It says what
// the schema says.
func makeReference() []byte {
	var b bytes.Buffer
	b.WriteString(`# Configuration reference

<!-- Made by "go test ./cmd/internal/config -run TestReference -update"; do not edit. Change
cmd/internal/config/example.yaml, whose comments these texts are. -->

Every key of the configuration file. [config.example.yaml](../../config.example.yaml) shows
them in one file; ` + "`photosync config schema`" + ` prints a JSON Schema for editors.

Durations are written like 30s, 5m, 1h30m or 1d; sizes like 800kB, 1MB or 1MiB; numbers of
pixels like 50MP; limits as a number of people, or a percentage like 20%. Keys of a source
stand below each entry of ` + "`sources`" + `.
`)
	for _, key := range allKeys() {
		top, rest, nested := strings.Cut(key, ".")
		v, c := defaultAt(key), about(key)
		if !nested {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", top, escape(strings.TrimSpace(c.text+" "+requirements(key))))
			if v.Kind() != reflect.Struct && key != "sources" { // it has no keys
				fmt.Fprintf(&b, "\nA %s.\n", kindOf(v, key))
				continue
			}
			b.WriteString("\n| key | type | default | meaning |\n|---|---|---|---|\n")
			continue
		}
		value := ""
		if d := defaultOf(v, key); d != nil {
			value = "`" + strings.Trim(strings.ReplaceAll(fmt.Sprint(d), " ", ", "), "`") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", rest, kindOf(v, key), value, escape(strings.TrimSpace(c.text+" "+requirements(key))))
	}
	return b.Bytes()
}

// defaultAt is the default of a key; of what stands in sources, that of one source.
func defaultAt(key string) reflect.Value {
	c := reference()
	if name, ok := strings.CutPrefix(key, "sources[]."); ok {
		return at(reflect.ValueOf(c.Sources[0]), name)
	}
	return at(reflect.ValueOf(*c), key)
}

// kindOf names what a value is, and which values are possible.
func kindOf(v reflect.Value, key string) string {
	r := keyRules()[key]
	switch v.Interface().(type) {
	case Duration:
		return "duration"
	case Size:
		return "size"
	case Pixels:
		return "pixels"
	case Limit:
		return "limit"
	case Secret:
		return "address"
	}
	switch v.Kind() {
	case reflect.Struct:
		return "keys"
	case reflect.Map:
		return "keys and texts"
	case reflect.Bool:
		return "true, false"
	case reflect.Slice:
		if r := keyRules()[key+"[]"]; r.oneOf == nil {
			return "list of texts"
		}
		return "list of " + strings.TrimPrefix(kindOf(reflect.Zero(v.Type().Elem()), key+"[]"), "one of ")
	}
	switch {
	case r.oneOf != nil:
		return "one of `" + strings.Join(r.oneOf, "`, `") + "`"
	case v.Kind() == reflect.Int && r.high > 0:
		return fmt.Sprintf("number, %d to %d", r.low, r.high)
	case v.Kind() == reflect.Int:
		return "number"
	}
	return "text"
}

// escape is text for a cell of a table.
func escape(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`).Replace(text)
}

var update = flag.Bool("update", false, "write the schema and the reference of the configuration anew")

// The schema and the reference in docs are what the program says about itself.
func TestReference(t *testing.T) {
	for file, want := range map[string][]byte{"schema.json": makeSchema(t), "../../../docs/reference/configuration.md": makeReference()} {
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(file); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s is not up to date: go test ./cmd/internal/config -run TestReference -update (%v)", file, err)
		}
	}
}

// at returns the field at a key below v, like tls.ca_file.
func at(v reflect.Value, key string) reflect.Value {
	for name := range strings.SplitSeq(key, ".") {
		v = field(v, name)
	}
	return v
}
