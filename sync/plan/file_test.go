package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// A plan that anybody edited, whichever field it is, is refused.
func TestEditedFile(t *testing.T) {
	f := build(&Policy{}, &Scope{}, ann(func(w *Work) { w.Photo.SHA256 = "h2" })).File()
	s := f.Steps[0]
	s.Refused, s.Shared = "empty", 3
	f.Missing, f.Held = append(f.Missing, s), append(f.Held, s)
	f.Account = state.Account{Root: "https://api", ID: 7, Name: "Example"}
	f.Rendering, f.StateGeneration, f.Listed = rendering, 5, map[string]int{"hr": 1}
	f.Guards = append(f.Guards, outcome.Breach{Guard: "max_replaced", Message: "many"})
	f.Selection = Selection{Only: []string{"a"}, Source: "hr", Shard: "0/2", Limit: 1, Force: true, Checksum: true, RetryFailed: true}
	f.Prepared("ann@x", "u2", "")
	var b bytes.Buffer
	if err := f.Encode(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	var whole any
	if err := json.Unmarshal(b.Bytes(), &whole); err != nil {
		t.Fatal(err)
	}
	edits := 0
	edit(whole, "", func(path string) {
		edits++
		data, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(data); err == nil {
			t.Errorf("%s was edited, and the plan is accepted", path)
		}
	})
	if edits < 40 {
		t.Errorf("%d edits", edits)
	}
}

// A plan is written in parts, and is the JSON that the library makes of the whole. Bytes that are not
// UTF-8 are written as they are read back, so that the checksum stays right.
func TestEncode(t *testing.T) {
	s := FileStep{Email: "ann@x", Ref: `CN=[R&D] <ann>,`, UserEmail: "a\xff"}
	for _, f := range []File{
		{Steps: []FileStep{}, Missing: []FileStep{}, Held: []FileStep{}},
		{SchemaVersion: 1, PlanID: "a", Guards: []outcome.Breach{}, Steps: []FileStep{s}, Missing: []FileStep{}, Held: []FileStep{s, s}},
		{
			Account: state.Account{Name: "[] [&]"}, Selection: Selection{Only: []string{"[a]*"}}, Guards: []outcome.Breach{{Guard: "g"}},
			Steps: []FileStep{s, s, s}, Missing: []FileStep{s}, Held: []FileStep{},
		},
	} {
		var got, want bytes.Buffer
		if err := f.Encode(&got); err != nil {
			t.Fatal(err)
		}
		if again, err := Decode(got.Bytes()); f.PlanID != "" && (err != nil || again.Checksum != f.Checksum) {
			t.Errorf("read back: %v", err)
		}
		for _, steps := range [][]FileStep{f.Steps, f.Missing, f.Held} {
			for i := range steps {
				steps[i].UserEmail = strings.ToValidUTF8(steps[i].UserEmail, "�")
			}
		}
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("got\n%swant\n%s", &got, &want)
		}
		sum := f.Checksum
		f.Checksum = ""
		want.Reset()
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
		if sum != Sum(bytes.TrimSuffix(want.Bytes(), []byte("\n")))[:32] {
			t.Errorf("its checksum is %s", sum)
		}
	}
}

// What Decode accepts is what Encode would write: nothing in it is lost or invented.
func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	if err := build(&Policy{}, &Scope{}, ann(func(w *Work) { w.Photo.SHA256 = "h2" })).File().Encode(&b); err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{b.String(), "[]", "7", "null", "{}", `{"schema_version":1,"plan_id":"a","steps":[]}`, `{"schema_version":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		Decode(data) // must not panic
		var file File
		if json.Unmarshal(data, &file) != nil {
			return
		}
		var first, second bytes.Buffer // with the right checksum
		if err := file.Encode(&first); err != nil {
			t.Fatal(err)
		}
		got, err := Decode(first.Bytes())
		if err != nil {
			return
		}
		if err := got.Encode(&second); err != nil || first.String() != second.String() {
			t.Fatalf("%v\n%s\n%s", err, &first, &second)
		}
	})
}

// edit changes each value below v in turn, calls then, and puts it back.
func edit(v any, path string, then func(path string)) {
	try := func(old any, set func(any)) {
		switch x := old.(type) {
		case string:
			set(x + "x")
		case float64:
			set(x + 1)
		case bool:
			set(!x)
		default:
			return
		}
		then(path)
		set(old)
	}
	base := path
	switch x := v.(type) {
	case map[string]any:
		for k, old := range x {
			path = base + "." + k
			try(old, func(n any) { x[k] = n })
			edit(old, path, then)
		}
	case []any:
		for i, old := range x {
			path = fmt.Sprintf("%s[%d]", base, i)
			try(old, func(n any) { x[i] = n })
			edit(old, path, then)
		}
	}
}

// What needs a human about a whole run, and what is normal life.
func TestFindings(t *testing.T) {
	hr := func(change func(*SourceFacts)) Facts {
		s := SourceFacts{Named: sources.Named{Name: "hr", Type: "folder"}, Listing: sources.Listing{Entries: 100}, People: 100, WithPhoto: 100}
		change(&s)
		return Facts{Sources: []SourceFacts{s}, Matches: Matches{WithPhoto: 100, Matched: 90}}
	}
	users := func(with, matched int) Facts {
		return Facts{Matches: Matches{WithPhoto: with, Matched: matched, Domains: map[string]int{"corp.local": with}}, UserDomains: map[string]int{"example.com": 50, "x.com": 2}}
	}
	waits := func(matched int, waiting map[outcome.Reason]int) Facts {
		return Facts{Matches: Matches{WithPhoto: matched, Matched: matched, Waiting: waiting}}
	}
	second := func(with, matched int) Facts {
		f := users(1000, 700)
		f.Sources = []SourceFacts{
			{Named: sources.Named{Name: "hr"}, People: 700, WithPhoto: 700, Users: Matches{WithPhoto: 700, Matched: 700}},
			{Named: sources.Named{Name: "ad"}, People: with, WithPhoto: with, Users: Matches{WithPhoto: with, Matched: matched, Domains: map[string]int{"corp.local": with}}},
		}
		return f
	}
	domains := func(all bool, people map[string]int) Facts {
		f := users(500, 400)
		f.AllUsers, f.Domains = all, people
		return f
	}
	lost := func(matched, lost int) Facts {
		f := users(matched+lost, matched)
		f.Lost = lost
		return f
	}
	names := func(n int, format string) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return all
	}
	for name, c := range map[string]struct {
		facts Facts
		want  string // code severity, and a part of the hint
	}{
		"all is well":                 {hr(func(*SourceFacts) {}), ""},
		"a department lost its users": {lost(90, 10), "few_in_smartsheet attention match.domains"},
		"a few lost theirs":           {lost(200, 10), ""},
		"too few to prove anything":   {lost(20, 9), ""},
		"nobody":                      {hr(func(s *SourceFacts) { s.People, s.WithPhoto, s.Entries = 0, 0, 0 }), "nobody_listed attention share mounted"},
		"nobody, and that is meant":   {hr(func(s *SourceFacts) { s.People, s.WithPhoto, s.MayBeEmpty = 0, 0, true }), ""},
		"a filter that finds nobody":  {hr(func(s *SourceFacts) { s.Type, s.People, s.WithPhoto = "ldap", 0, 0 }), "nobody_listed attention filter"},
		"nobody has a photo":          {hr(func(s *SourceFacts) { s.Type, s.WithPhoto = "ldap", 0 }), "nobody_with_photo attention photo_attributes"},
		"nobody knows yet":            {hr(func(s *SourceFacts) { s.Type, s.WithPhoto, s.Unknown = "ldap", 0, 100 }), ""},
		"all photos are hidden":       {hr(func(s *SourceFacts) { s.Type, s.WithPhoto, s.Hidden = "ldap", 0, 70 }), "nobodys_photo_readable attention right to read"},
		"all files are broken links":  {hr(func(s *SourceFacts) { s.WithPhoto, s.Hidden = 0, 70 }), "nobodys_photo_readable attention warnings"},
		"all claims are lost":         {hr(func(s *SourceFacts) { s.People, s.WithPhoto, s.Claims = 0, 0, true }), ""},
		"all have two entries":        {waits(30, map[outcome.Reason]int{outcome.Ambiguous: 30}), "nobody_now attention the same address"},
		"all have one picture":        {waits(30, map[outcome.Reason]int{outcome.SharedImage: 30}), "nobody_now attention stand-in"},
		"some photos are hidden":      {hr(func(s *SourceFacts) { s.Type, s.Hidden = "ldap", 70 }), ""},
		"camera names":                {hr(func(s *SourceFacts) { s.People, s.WithPhoto, s.Unnamed = 0, 0, names(9, "IMG_%03d.jpg") }), "files_name_nobody attention name each file"},
		"employee numbers":            {hr(func(s *SourceFacts) { s.People, s.WithPhoto, s.Unnamed = 0, 0, names(9, "badge/E10%03d.jpg") }), "files_name_nobody attention mapping_file takes"},
		"a stray file":                {hr(func(s *SourceFacts) { s.Unnamed = names(1, "logo%d.png") }), "files_name_nobody notice name each file"},
		"no addresses":                {hr(func(s *SourceFacts) { s.Type, s.People, s.WithPhoto, s.Unnamed = "ldap", 0, 0, names(9, "cn=a%d") }), "entries_without_address attention email_attributes"},
		"names that are quoted":       {hr(func(s *SourceFacts) { s.Unnamed = []string{`"\u202ea.jpg"`} }), "files_name_nobody notice name each file"},
		"nobody is a user":            {users(20, 0), "nobody_in_smartsheet attention {corp.local: example.com}"},
		"one of one is no user":       {users(1, 0), "nobody_in_smartsheet attention {corp.local: example.com}"},
		"hardly anybody is a user":    {users(500, 3), "few_in_smartsheet attention {corp.local: example.com}"},
		"few people":                  {users(40, 1), ""},
		"many are no users":           {users(500, 60), ""},
		"everybody is left out":       {Facts{Excluded: 1200}, "everybody_excluded attention patterns"},
		"some are left out":           {Facts{Excluded: 1200, Matches: Matches{WithPhoto: 3, Matched: 3}}, ""},
		"nobody at all":               {users(0, 0), ""},
		"nobody of one source":        {second(300, 0), "nobody_in_smartsheet attention {corp.local: example.com}"},
		"hardly anybody of one":       {second(300, 5), "few_in_smartsheet attention {corp.local: example.com}"},
		"nobody of a small source":    {second(9, 0), ""},
		"a source with some users":    {second(300, 6), ""},
		"one of two domains":          {domains(true, map[string]int{"corp.local": 10, "example.com": 90}), "few_in_smartsheet notice match.domains"},
		"a domain of a few people":    {domains(true, map[string]int{"corp.local": 9}), ""},
		"not all users were seen":     {domains(false, map[string]int{"corp.local": 100}), ""},
		"nobody is active":            {waits(29, map[outcome.Reason]int{outcome.InactiveUser: 29}), "nobody_now attention invitations"},
		"all files are being copied":  {waits(29, map[outcome.Reason]int{outcome.InactiveUser: 9, outcome.BeingWritten: 20}), "nobody_now attention min_age"},
		"every picture is ignored":    {waits(10, map[outcome.Reason]int{outcome.NoPhoto: 10}), "nobody_now attention ignore_pictures"},
		"all photos are refused":      {waits(30, map[outcome.Reason]int{outcome.KnownBad: 30}), "nobody_now attention section image"},
		"somebody is active":          {waits(29, map[outcome.Reason]int{outcome.InactiveUser: 28}), ""},
		"hardly anybody is active":    {waits(500, map[outcome.Reason]int{outcome.InactiveUser: 491}), "nobody_now attention invitations"},
		"a few people wait":           {waits(9, map[outcome.Reason]int{outcome.BeingWritten: 9}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, f := range c.facts.Findings() {
				got += f.Code + " " + f.Severity + " " + f.Hint
				if f.Message == "" || f.Hint == "" || len(f.Examples) > 0 && !strings.Contains(f.Message, f.Examples[0]) || strings.Contains(f.Message, `\"`) {
					t.Errorf("%+v says nothing", f)
				}
			}
			head, tail := c.want, ""
			if parts := strings.SplitN(c.want, " ", 3); len(parts) == 3 {
				head, tail = parts[0]+" "+parts[1], parts[2]
			}
			if !strings.HasPrefix(got, head) || !strings.Contains(got, tail) || c.want == "" && got != "" {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
