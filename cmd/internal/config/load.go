package config

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"photosync/sync/foreign"
)

// Find returns the configuration file to use: the one asked for, that of
// PHOTOSYNC_CONFIG, ./config.yaml or /etc/photosync/config.yaml.
func Find(explicit string, env func(string) string) (string, error) {
	if explicit == "" {
		explicit = env("PHOTOSYNC_CONFIG")
	}
	if explicit != "" {
		return explicit, nil
	}
	for _, p := range []string{"config.yaml", "/etc/photosync/config.yaml"} {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			return p, nil
		}
	}
	return "", &Error{
		Faults: []Fault{{Message: "no configuration file: looked for config.yaml and /etc/photosync/config.yaml"}},
		hint:   "name one with --config FILE or PHOTOSYNC_CONFIG; photosync init writes a commented one",
	}
}

// Load reads, checks and completes the file at path. An *Error lists every fault.
// Relative paths in the file are relative to the working directory. Checks know more
// of a source than its form: the keys of their faults begin below it.
func Load(path string, env func(string) string, checks ...func(Source) []Fault) (*Config, error) {
	d, err := read(path)
	if err != nil {
		return nil, err
	}
	for i, s := range d.c.Sources {
		for _, check := range checks {
			for _, f := range check(s) { // it may quote a value
				d.fault(fmt.Sprintf("sources[%d].%s", i, f.Key), withoutSecrets(f.Message), withoutSecrets(f.Instead))
			}
		}
	}
	d.secrets(env)
	d.notices(env)
	d.proxies(env)
	return &d.c, d.verdict("")
}

// LoadSection reads one section, and whether it is right: state, which needs no token and no
// other part of the file; or smartsheet for a login, before there is a refresh token.
func LoadSection(path, section string, env func(string) string) (*Config, error) {
	d, err := read(path)
	if err != nil {
		return nil, err
	}
	if section == "smartsheet" {
		if !d.c.Smartsheet.OAuth2.Set() {
			d.missing("smartsheet.oauth2", "there is no app to log in with", "like {client_id: …, client_secret_file: …, refresh_token_file: …}")
		}
		d.clientSecret(env)
		d.proxies(env)
	}
	return &d.c, d.verdict(section)
}

// read decodes the file at path and checks all but secrets. Its faults are in the decoder.
func read(path string) (*decoder, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{Faults: []Fault{{Message: fmt.Sprintf("read configuration %q: %v", path, foreign.WithoutPath(err))}},
			hint: "check the path given with --config or PHOTOSYNC_CONFIG, and that the user who runs photosync may read it"}
	}
	d := &decoder{path: path, places: map[string]place{}}
	if f := d.decode(data); f != nil {
		d.faults = []Fault{*f}
		return nil, d.verdict("")
	}
	return d, nil
}

// verdict is an *Error if there are faults in the file, or in one section of it. A key that
// is not known counts for every section: it may be meant for it.
func (d *decoder) verdict(section string) error {
	if section != "" {
		d.faults = slices.DeleteFunc(d.faults, func(f Fault) bool {
			top, _, _ := strings.Cut(strings.ReplaceAll(f.Key, "[", "."), ".")
			return top != section && slices.Contains(allKeys(), top)
		})
	}
	if len(d.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(d.faults, func(a, b Fault) int { return a.Line - b.Line })
	d.excerpts()
	return &Error{Path: d.path, Faults: d.faults}
}

// Globs returns what reports whether one of the patterns names an address; nil: there are none.
func Globs(patterns []string) func(email string) bool {
	if len(patterns) == 0 {
		return nil
	}
	return func(email string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return Glob(p, email) })
	}
}

// Glob reports whether email, in its canonical form, matches a pattern with * and ?, in
// any case and with its domain in either form.
func Glob(pattern, email string) bool {
	if strings.ContainsFunc(pattern, func(r rune) bool { return r >= utf8.RuneSelf }) { // write it as sources.Email would
		local, domain, _ := strings.Cut(norm.NFC.String(cases.Fold().String(pattern)), "@")
		if ascii, err := idn.ToASCII(domain); err == nil {
			domain = ascii
		}
		pattern = strings.TrimSuffix(local+"@"+domain, "@")
	}
	ok, err := path.Match(strings.ToLower(pattern), email)
	return ok && err == nil
}

var idn = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false)) // lets * and ? pass

var (
	//go:embed example.yaml
	example []byte
	//go:embed schema.json
	schema []byte
	//go:embed start
	start embed.FS
)

// Example returns a commented configuration file with every key. The one at the root is a copy.
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

// Schema returns a JSON Schema (draft 7, which editors know) of the configuration file:
// go test -update makes it of the fields, the rules and the comments of the example.
func Schema() []byte { return slices.Clone(schema) }
