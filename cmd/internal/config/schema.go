package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// object is a piece of a JSON Schema.
type object = map[string]any

// Schema returns a JSON Schema (draft 7, which editors know) of the configuration file.
// It is made of the fields that the decoder fills, their defaults, the rules that the
// program checks, and the comments of the example.
func Schema() ([]byte, error) {
	s := schemaOf(reflect.ValueOf(*reference()), "")
	s["$schema"], s["title"] = "http://json-schema.org/draft-07/schema#", "Configuration of photosync"
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

// reference is a configuration with every default, and one source with those of all
// types.
func reference() *Config {
	c := defaults()
	c.Smartsheet.Region = "us"
	c.Sources = []Source{{Type: "ldap"}}
	c.Sources[0].defaults()
	c.Sources[0].Type, c.Sources[0].Auth = "", ""
	return c
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// null is possible everywhere: a key without a value is as good as none.
func orNull(types ...string) object { return object{"type": append(types, "null")} }

// schemaOf describes what the decoder takes for the value at key, whose default is v.
func schemaOf(v reflect.Value, key string) object {
	s := typeOf(v, key)
	if text := about(key).text; text != "" {
		s["description"] = strings.TrimSpace(text + " " + requirements(key))
	}
	if d := defaultOf(v); d != nil {
		s["default"] = d
	}
	return s
}

func typeOf(v reflect.Value, key string) object {
	r := rules[key]
	if r.oneOf != nil {
		all := []any{nil}
		if v.Kind() == reflect.Int { // a list of numbers has no null in it
			all = nil
		}
		for _, value := range r.oneOf {
			if v.Kind() == reflect.Int {
				all = append(all, json.Number(value))
			} else {
				all = append(all, value)
			}
		}
		return object{"enum": all}
	}
	if reflect.PointerTo(v.Type()).Implements(textUnmarshaler) {
		return object{"anyOf": append(quantityOf(v.Interface(), r), object{"type": "null"})}
	}
	switch v.Kind() {
	case reflect.Struct:
		properties := object{}
		for i, name := range keys(v.Type()) {
			if name != "-" {
				properties[name] = schemaOf(v.Field(i), strings.TrimPrefix(key+"."+name, "."))
			}
		}
		s := orNull("object")
		s["properties"], s["additionalProperties"] = properties, false
		conditions(s, key)
		return s
	case reflect.Slice:
		member := reflect.Zero(v.Type().Elem())
		if v.Len() > 0 && member.Kind() == reflect.Struct {
			member = v.Index(0)
		}
		s := orNull("array")
		s["items"] = schemaOf(member, key+"[]")
		return s
	case reflect.Map:
		s := orNull("object")
		s["additionalProperties"] = object{"type": []string{"string", "number"}}
		return s
	case reflect.Bool:
		return orNull("boolean")
	case reflect.Int:
		s := orNull("integer")
		bound(s, r)
		return s
	}
	s := orNull("string", "number")
	if key == "smartsheet.base_url" || secretKeys[leaf(key)] {
		s = orNull("string")
		s["pattern"] = `^https?://[^/]`
	}
	if r.pattern != "" {
		s = orNull("string")
		s["pattern"] = r.pattern
	}
	return s
}

func bound(s object, r rule) {
	if r.zero {
		s["anyOf"] = []object{{"const": 0}, {"minimum": r.low}}
	} else {
		s["minimum"] = r.low
	}
	if r.high > 0 {
		s["maximum"] = r.high
	}
}

// quantityOf are the ways to write what has a unit.
func quantityOf(v any, r rule) []object {
	number := object{"type": "number"}
	text := object{"type": "string"}
	switch v.(type) {
	case Duration:
		text["pattern"] = `^( *[0-9]+(\.[0-9]+)? *(ns|us|ms|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?))+ *$`
		number["const"] = 0
		if r.low > 0 { // 0 is no time
			return []object{{"allOf": []object{text, {"pattern": "[1-9]"}}}}
		}
	case Size:
		text["pattern"] = `^[0-9]+(\.[0-9]+)? *(B|kB|KB|MB|KiB|MiB)?$`
		bound(number, r)
	case Pixels:
		text["pattern"] = `^[0-9]+(\.[0-9]+)? *(kP|MP)?$`
		bound(number, r)
	case Limit:
		text["pattern"] = `^ *(100|[0-9]{1,2}(\.[0-9]+)?) *%$|^[0-9]+$`
		number = object{"type": "integer", "minimum": 0}
	case Secret:
		text["pattern"] = `^https?://[^/]`
		return []object{text}
	}
	return []object{number, text}
}

// defaultOf is a default as the file writes it; nil: there is none.
func defaultOf(v reflect.Value) any {
	switch d := v.Interface().(type) {
	case Secret:
		return nil
	case fmt.Stringer:
		return d.String()
	}
	switch v.Kind() {
	case reflect.Bool, reflect.Int:
		return v.Interface()
	case reflect.String, reflect.Slice:
		if v.Len() > 0 && (v.Kind() == reflect.String || v.Type().Elem().Kind() != reflect.Struct) {
			return v.Interface()
		}
	}
	return nil
}

// set is the schema of a value that is there.
var set = object{"not": object{"enum": []any{nil, "", 0, false, []any{}, object{}}}}

// having is the schema of an object in which key has a value that fits s.
func having(key string, s object) object {
	head, rest, nested := strings.Cut(key, ".")
	if nested {
		s = having(rest, s)
	}
	return object{"type": "object", "required": []string{head}, "properties": object{head: s}}
}

// conditions adds to the schema of the object at a place what depends on other keys.
func conditions(s object, at string) {
	var all []object
	given := func(cond, then object) { all = append(all, object{"if": cond, "then": then}) }
	for _, n := range needs {
		filled := having(n.key, set)
		switch {
		case n.at != at:
		case n.when == "" && (at == "" || at == "sources[]"):
			all = append(all, filled)
		case n.when == "": // what has a default may be left out
			given(object{"required": []string{n.key}, "properties": object{n.key: object{"not": object{"type": "null"}}}}, filled)
		case n.when == "*":
			given(object{"minProperties": 1}, filled)
		case n.is != "":
			given(having(n.when, object{"const": n.is}), filled)
		default:
			given(having(n.when, set), filled)
		}
	}
	for _, e := range excluded {
		if e.at == at {
			all = append(all, object{"not": object{"allOf": []object{having(e.key, set), having(e.other, set)}}})
		}
	}
	plainHost := `^https://|^http://(localhost|127\.[0-9.]+|\[::1\])([:/]|$)`
	switch at {
	case "smartsheet":
		given(object{"not": having("allow_http", object{"const": true})}, object{"properties": object{"base_url": object{"pattern": plainHost}}})
	case "sources[]":
		for _, t := range rules["sources[].type"].oneOf {
			foreign := object{}
			for i, name := range keys(reflect.TypeFor[Source]()) {
				if of := reflect.TypeFor[Source]().Field(i).Tag.Get("of"); of != "" && of != t {
					foreign[name] = false
				}
			}
			given(having("type", object{"const": t}), object{"properties": foreign})
		}
		all = append(all, ldapConditions()...)
	}
	if all != nil {
		s["anyOf"] = []object{{"type": "null"}, {"allOf": all}}
	}
}

// requirements says when key must be there.
func requirements(key string) string {
	for _, n := range needs {
		if strings.TrimPrefix(n.at+"."+n.key, ".") != key {
			continue
		}
		switch {
		case n.is != "":
			return fmt.Sprintf("Required with %s: %s.", n.when, n.is)
		case n.when == "*":
			return "Required with the keys beside it."
		case n.when != "":
			return fmt.Sprintf("Required with %s.", n.when)
		case n.at == "" || n.at == "sources[]":
			return "Required."
		}
	}
	return ""
}
