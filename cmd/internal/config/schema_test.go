package config

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("photosync.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("photosync.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate gives text to the schema.
func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// The example fits the schema, with what it shows in comments and without.
func TestExampleFitsSchema(t *testing.T) {
	commented := regexp.MustCompile(`(?m)^( *)# ( *)([a-z0-9_]+):( |$)`).ReplaceAllStringFunc(Example, func(line string) string {
		if name := strings.Trim(line, "# :"); !known(name) || name == "report" {
			return line // prose
		}
		return strings.Replace(line, "# ", "", 1)
	})
	// What does not go together with the keys that are not commented out.
	commented = regexp.MustCompile(`(?m)^(  base_url|  oauth2|    client_|    refresh_|  (webhook|healthcheck)_file|    kerberos|      (principal|keytab|config|service):).*\n`).ReplaceAllString(commented, "")
	for _, text := range []string{Example, commented} {
		if err := validate(t, compiled(t), text); err != nil {
			t.Errorf("the example does not fit: %v", err)
		}
	}
	if !strings.HasPrefix(commented, "# yaml-language-server: $schema=photosync.schema.json\n") {
		t.Error("the first line does not name the schema")
	}
}

// Every key is in the example, and the schema describes it.
func TestEveryKeyIsDescribed(t *testing.T) {
	var s map[string]any
	if err := json.Unmarshal([]byte(Schema), &s); err != nil {
		t.Fatal(err)
	}
	for _, key := range allKeys() {
		at := s
		for _, name := range strings.Split(key, ".") {
			name, list := strings.CutSuffix(name, "[]")
			at = at["properties"].(map[string]any)[name].(map[string]any)
			if list {
				at = at["items"].(map[string]any)
			}
		}
		t.Logf("%-30s %v | %v", key, at["default"], at["description"])
		if text, _ := at["description"].(string); len(text) < 10 {
			t.Errorf("%s: described as %q", key, text)
		}
	}
}

// The short configurations are right, and so is the long one below them.
func TestStart(t *testing.T) {
	for _, kind := range []string{"ad", "openldap", "folder"} {
		short, long, _ := strings.Cut(Start(kind), "\n# ---- Every key, with its default or an example ----\n#\n")
		short = regexp.MustCompile(`(?m)^.*_file:.*\n`).ReplaceAllString(short, "") // they do not exist here
		for _, part := range []string{short, regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(long, "")} {
			t.Chdir(filepath.Dir(write(t, "config.yaml", part))) // state.path is relative
			if c, err := Load("config.yaml", both); err != nil || len(c.Warnings) > 0 {
				t.Errorf("%s: %v", kind, err)
			}
			if err := validate(t, compiled(t), part); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
}
