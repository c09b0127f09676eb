package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func schema(t *testing.T) map[string]any {
	t.Helper()
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// violations are the places where v is not what s says: the part of JSON Schema
// that Schema uses.
func violations(s map[string]any, v any, key string) (found []string) {
	kind := "null"
	switch v.(type) {
	case map[string]any:
		kind = "object"
	case []any:
		kind = "array"
	case string:
		kind = "string"
	case bool:
		kind = "boolean"
	case uint64, int64:
		kind = "integer"
	}
	if enum, ok := s["enum"].([]any); ok {
		if !slices.Contains(enum, v) {
			found = append(found, key)
		}
		return found
	}
	types := s["type"].([]any)
	if !slices.Contains(types, any(kind)) && (kind != "integer" || !slices.Contains(types, any("number"))) {
		return []string{key + ": " + kind}
	}
	switch v := v.(type) {
	case map[string]any:
		properties, _ := s["properties"].(map[string]any)
		for name, value := range v {
			p, known := properties[name].(map[string]any)
			if !known {
				p, known = s["additionalProperties"].(map[string]any)
			}
			if !known {
				found = append(found, key+"."+name+": unknown")
				continue
			}
			found = append(found, violations(p, value, key+"."+name)...)
		}
	case []any:
		for i, value := range v {
			found = append(found, violations(s["items"].(map[string]any), value, fmt.Sprintf("%s[%d]", key, i))...)
		}
	}
	return found
}

// The example fits the schema, with what it shows in comments and without.
func TestExampleFitsSchema(t *testing.T) {
	commented := regexp.MustCompile(`(?m)^( +)# (  )?([a-z0-9_]+:)`).ReplaceAllString(string(Example()), "$1$2$3")
	for _, text := range []string{string(Example()), commented} {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if bad := violations(schema(t), v, ""); len(bad) > 0 {
			t.Errorf("the example does not fit: %q", bad)
		}
	}
	if !strings.HasPrefix(commented, "# yaml-language-server: $schema=photosync.schema.json\n") {
		t.Error("the first line does not name the schema")
	}
}

func TestSchemaRefuses(t *testing.T) {
	for _, text := range []string{"nonsense: 1", "smartsheet: {token: x}", "image: {quality: high}", "log: {level: loud}", "sources: {name: hr}", "sources: [{type: ftp}]"} {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if bad := violations(schema(t), v, ""); len(bad) != 1 {
			t.Errorf("%s: got %q, want one violation", text, bad)
		}
	}
}

// Every key is in the example.
func TestExampleShowsEveryKey(t *testing.T) {
	var walk func(s map[string]any)
	walk = func(s map[string]any) {
		properties, _ := s["properties"].(map[string]any)
		for name, p := range properties {
			if !regexp.MustCompile(`(?m)^[ #-]*` + name + `:`).Match(Example()) {
				t.Errorf("%s is not in the example", name)
			}
			walk(p.(map[string]any))
		}
		if items, ok := s["items"].(map[string]any); ok {
			walk(items)
		}
	}
	walk(schema(t))
}
