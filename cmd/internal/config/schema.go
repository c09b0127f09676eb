package config

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// Schema returns a JSON Schema of the configuration file, for editors. It is made
// of the fields that the decoder fills.
func Schema() ([]byte, error) {
	s := schemaOf(reflect.TypeFor[Config](), "")
	s["$schema"], s["title"] = "http://json-schema.org/draft-07/schema#", "Configuration of photosync"
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// schemaOf describes what the decoder takes for a value of type t at key. A key
// without a value is as good as none, so null is possible everywhere.
func schemaOf(t reflect.Type, key string) map[string]any {
	types := func(names ...string) map[string]any { return map[string]any{"type": append(names, "null")} }
	if values, ok := choices[key]; ok {
		all := []any{nil}
		for _, v := range values {
			all = append(all, v)
		}
		return map[string]any{"enum": all}
	}
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return types("string", "number")
	}
	switch t.Kind() {
	case reflect.Struct:
		properties := map[string]any{}
		for i, name := range keys(t) {
			if name != "-" {
				properties[name] = schemaOf(t.Field(i).Type, strings.TrimPrefix(key+"."+name, "."))
			}
		}
		s := types("object")
		s["properties"], s["additionalProperties"] = properties, false
		return s
	case reflect.Slice:
		s := types("array")
		s["items"] = schemaOf(t.Elem(), key+"[]")
		return s
	case reflect.Map:
		s := types("object")
		s["additionalProperties"] = schemaOf(t.Elem(), key+".*")
		return s
	case reflect.Bool:
		return types("boolean")
	case reflect.Int:
		return types("integer")
	}
	return types("string", "number")
}
