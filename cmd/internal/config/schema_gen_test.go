package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// object is a piece of a JSON Schema.
type object = map[string]any

// makeSchema makes what Schema returns.
func makeSchema(t *testing.T) []byte {
	s := schemaOf(reflect.ValueOf(reference()).Elem(), "")
	s["$schema"], s["title"] = "http://json-schema.org/draft-07/schema#", "Configuration of photosync"
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// reference is a configuration with every default, and one source with those of all
// types.
func reference() *Config {
	c := &Config{Smartsheet: Smartsheet{Region: "us"}, Sources: make([]Source, 1)}
	fill(reflect.ValueOf(c).Elem())
	return c
}

// rule is what the value of a key must be. A key's [] stands for every member of a list.
type rule struct {
	oneOf     []string
	low, high int64 // of numbers, sizes (bytes), durations (nanoseconds); high 0: any
	zero      bool  // 0 is possible, too
	pattern   string
}

// keyRules are those of all keys.
var keyRules = sync.OnceValue(func() map[string]rule {
	all := map[string]rule{}
	c := &Config{Sources: make([]Source, 1)}
	walk(reflect.ValueOf(c).Elem(), "", "", func(v reflect.Value, key string, tag reflect.StructTag) {
		r := rule{}
		if one := tag.Get("one"); one != "" {
			r.oneOf = strings.Split(one, ", ")
		}
		if span := tag.Get("range"); span != "" {
			r.low, r.high, r.zero = bounds(span, v.Type())
		}
		if tag.Get("above0") != "" {
			r.low = 1
		}
		if key = general(key); v.Kind() == reflect.Slice {
			key += "[]"
		}
		if p := rules().Patterns[key].Pattern; p != nil {
			r.pattern = p.String()
		}
		all[key] = r
	})
	return all
})

// null is possible everywhere: a key without a value is as good as none.
func orNull(types ...string) object { return object{"type": append(types, "null")} }

// schemaOf describes what the decoder takes for the value at key, whose default is v.
func schemaOf(v reflect.Value, key string) object {
	s := typeOf(v, key)
	if text := about(key).text; text != "" {
		s["description"] = strings.TrimSpace(text + " " + requirements(key))
	}
	if d := defaultOf(v, key); d != nil {
		s["default"] = d
	}
	return s
}

func typeOf(v reflect.Value, key string) object {
	r := keyRules()[key]
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
	if isQuantity(v) {
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
	case reflect.Int: // also in quotes, as templates write it
		s := orNull("integer", "string")
		s["pattern"] = "^-?[0-9]+$"
		bound(s, r)
		return s
	}
	s := orNull("string", "number")
	if key == "smartsheet.base_url" || v.Type() == reflect.TypeFor[Secret]() {
		s = orNull("string")
		s["pattern"] = `^$|^https?://[^/]`
	}
	if p := schemaPatterns[key]; p != "" {
		s["pattern"], s["type"] = p, []string{"string", "null"}
		if !regexp.MustCompile(p).MatchString("") {
			s["type"] = "string"
		}
	}
	if r.pattern != "" {
		s = orNull("string")
		if regexp.MustCompile(r.pattern).MatchString("1") {
			s = orNull("string", "number")
		}
		s["pattern"] = r.pattern
	}
	return s
}

// schemaPatterns are what the schema knows of texts that sources/ldap checks.
var schemaPatterns = map[string]string{
	"sources[].filter": `^$|^\s*\(.*\)\s*$`, "sources[].exclude_filter": `^\s*\(.*\)\s*$`,
	"sources[].base_dn": `^$|=`, "sources[].member_of": `=`, "sources[].email_attributes[]": `\S`,
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
		text["pattern"] = `^( *[0-9]+(\.[0-9]+)? *(ns|us|ms|s|m|h|d))+ *$`
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
		text["pattern"] = `^$|^https?://[^/]`
		return []object{text}
	}
	return []object{number, text}
}

// defaultOf is a default as the file writes it; nil: there is none.
func defaultOf(v reflect.Value, key string) any {
	if r := keyRules()[key]; v.IsZero() && r.low > 0 && !r.zero {
		return nil // 0 is not possible: the text says what no value means
	}
	switch d := v.Interface().(type) {
	case Secret:
		return nil
	case Duration, Size, Pixels, Limit:
		return written(d)
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

// present is the schema of a value that is there.
var present = object{"not": object{"enum": []any{nil, "", []any{}, object{}}}}

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
	for _, n := range rules().Needs {
		filled := having(n.Key, present)
		switch {
		case n.At != at:
		case n.When == "" && (at == "" || at == "sources[]"):
			all = append(all, filled)
		case n.When == "": // what has a default may be left out
			given(having(n.Key, object{"not": object{"type": "null"}}), filled)
		case n.When == "*":
			var any []object
			for _, key := range allKeys() {
				if name, ok := strings.CutPrefix(key, at+"."); ok {
					any = append(any, having(name, object{"not": object{"type": "null"}}))
				}
			}
			given(object{"anyOf": any}, filled)
		case n.Is != "":
			given(having(n.When, object{"const": n.Is}), filled)
		default:
			given(having(n.When, present), filled)
		}
	}
	for _, e := range rules().Excluded {
		if e.At == at {
			all = append(all, object{"not": object{"allOf": []object{having(e.Key, present), having(e.Other, present)}}})
		}
	}
	switch at {
	case "smartsheet":
		given(object{"not": having("allow_http", object{"const": true})},
			object{"properties": object{"base_url": object{"pattern": `^$|^https://|^http://(localhost|127\.[0-9.]+|\[::1\])([:/]|$)`}}})
	case "sources[]":
		for _, t := range keyRules()["sources[].type"].oneOf {
			foreign := object{}
			for i, name := range keys(reflect.TypeFor[Source]()) {
				if of := reflect.TypeFor[Source]().Field(i).Tag.Get("of"); of != "" && of != t {
					foreign[name] = object{"type": "null"}
				}
			}
			given(having("type", object{"const": t}), object{"properties": foreign})
		}
		all = append(all, ldapConditions()...)
	}
	if all != nil {
		s["allOf"] = all
	}
}

// requirements says when key must be there.
func requirements(key string) string {
	for _, n := range rules().Needs {
		if strings.TrimPrefix(n.At+"."+n.Key, ".") != key {
			continue
		}
		switch {
		case n.Is != "":
			return fmt.Sprintf("Required with %s: %s.", n.When, n.Is)
		case n.When == "*":
			return "Required with the keys beside it."
		case n.When != "":
			return fmt.Sprintf("Required with %s.", n.When)
		case n.At == "" || n.At == "sources[]":
			return "Required."
		}
	}
	return ""
}

// ldapConditions say for the schema what the checks above, and those of sources/ldap, say.
func ldapConditions() (all []object) {
	not := func(s object) object { return object{"not": s} }
	given := func(then object, conditions ...object) {
		all = append(all, object{"if": object{"allOf": conditions}, "then": then})
	}
	urls := func(pattern string) object {
		return object{"properties": object{"urls": object{"items": object{"pattern": pattern}}}}
	}
	isLDAP, yes := having("type", object{"const": "ldap"}), object{"const": true}
	auth := func(ways ...any) object { return having("auth", object{"enum": ways}) }
	given(urls(`^ldaps?://[^/?@]+([/?].*)?$|^ldapi://`), isLDAP)
	given(urls(`^ldaps://|^ldapi://|^ldap://(localhost|127\.[0-9.]+|\[::1\])([:/]|$)`), isLDAP, not(having("tls.start_tls", yes)), not(having("allow_plaintext", yes)))
	given(urls(`^ldapi://`), auth("external"), not(having("tls.cert_file", present)))
	given(not(having("bind_dn", present)), auth("external", "gssapi", "anonymous"))
	all = append(all, object{"if": having("kerberos.service", present), "then": object{"anyOf": []object{
		auth("gssapi"), having("kerberos.principal", present), having("kerberos.keytab", present),
	}}})
	for _, key := range []string{"principal", "keytab", "service"} {
		given(not(having("kerberos."+key, present)), auth("external", "simple", "anonymous"))
	}
	return all
}

// about returns what the example says about a key, like sources[].urls.
func about(key string) comment { return comments()[key] }

// comments reads the example. What it says about a key is the comment above it, up to an
// empty line or another key, and the one behind it, with the lines that continue that.
var comments = sync.OnceValue(func() map[string]comment {
	line := regexp.MustCompile(`^( *)(?:# )?( *)(- )?([a-z0-9_]+):(?: +(.*))?$`)
	found, above := map[string]comment{}, ""
	var path []string // of the keys around, and how far each is indented
	var indents []int
	last := ""
	for text := range strings.Lines(Example) {
		text = strings.TrimRight(text, "\n")
		m := line.FindStringSubmatch(text)
		prose, isProse := strings.CutPrefix(strings.TrimSpace(text), "#")
		var key string
		var depth, indent int
		if m != nil {
			indent = len(m[1] + m[2] + m[3])
			for depth = len(indents); depth > 0 && indents[depth-1] >= indent; {
				depth--
			}
			key = strings.Join(append(slices.Clone(path[:depth]), m[4]), ".")
			key = strings.ReplaceAll(key, "sources.", "sources[].")
		}
		switch {
		case m != nil && slices.Contains(allKeys(), key):
			path, indents = append(path[:depth], m[4]), append(indents[:depth], indent)
			value, behind, _ := strings.Cut(m[5], " # ")
			if strings.HasPrefix(m[5], "# ") {
				value, behind = "", m[5][2:]
			}
			c := comment{sentence(above, behind), strings.TrimSpace(value)}
			if old, twice := found[key]; !twice || old.text == "" {
				found[key] = c
			}
			above, last = "", key
		case isProse && strings.HasPrefix(text, strings.Repeat(" ", 20)): // continues the one behind
			c := found[last]
			c.text = strings.TrimSuffix(c.text, ".") + " " + strings.TrimSpace(prose) + "."
			found[last] = c
		case isProse:
			above = strings.TrimSpace(above + " " + strings.TrimSpace(prose))
		default:
			above = ""
		}
	}
	return found
})

// sentence joins the comments above and behind a key, without the word that marks its
// value as an example.
func sentence(above, behind string) string {
	behind = strings.TrimSpace(behind)
	if rest, ok := strings.CutPrefix(behind, "example"); ok {
		behind = strings.TrimLeft(rest, ":;, ")
	}
	var text []string
	for _, part := range []string{above, behind} {
		if part = strings.Join(strings.Fields(part), " "); part != "" {
			text = append(text, strings.ToUpper(part[:1])+strings.TrimSuffix(part[1:], ".")+".")
		}
	}
	return strings.Join(text, " ")
}

// isQuantity reports whether a value has a unit, or is an address.
func isQuantity(v reflect.Value) bool {
	switch v.Interface().(type) {
	case Duration, Size, Pixels, Limit, Secret:
		return true
	}
	return false
}

// written is the shortest way to write a quantity.
func written(v any) string {
	type unit struct {
		suffix string
		factor float64
	}
	in := func(n int64, units []unit) string {
		for _, u := range units {
			if f := int64(u.factor); n%f == 0 && n != 0 {
				return fmt.Sprint(n/f) + u.suffix
			}
		}
		return fmt.Sprint(n)
	}
	switch v := v.(type) {
	case Duration:
		return in(int64(v), []unit{{"d", 24 * float64(time.Hour)}, {"h", float64(time.Hour)}, {"m", float64(time.Minute)}, {"s", float64(time.Second)}}) +
			map[bool]string{true: "s"}[v == 0]
	case Size:
		return in(int64(v), []unit{{"MB", 1e6}, {"kB", 1e3}, {"B", 1}})
	case Pixels:
		return in(int64(v), []unit{{"MP", 1e6}, {"kP", 1e3}})
	case Limit:
		return fmt.Sprint(v.N) + map[bool]string{true: "%"}[v.Percent]
	}
	return ""
}

// comment is what the example says about a key.
type comment struct {
	text    string // one paragraph
	example string // the value that stands there
}
