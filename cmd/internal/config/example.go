package config

import (
	"embed"
	"regexp"
	"slices"
	"strings"
	"sync"
)

//go:embed example.yaml
var example []byte

// Example returns a commented configuration file with every key. The one at the
// root of the repository is a copy of it; embedding cannot reach up there.
func Example() []byte { return slices.Clone(example) }

// comment is what the example says about a key.
type comment struct {
	text    string // one paragraph
	example string // the value that stands there
}

//go:embed start
var start embed.FS

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
	for text := range strings.Lines(string(example)) {
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
