package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"photosync/cmd/internal/console"
	"photosync/sources/ldap/slapdtest"
	"photosync/sync/outcome"
)

// A wrong set-up of a folder or a directory: check and a run say the same of it, name
// the cause, and do not end with 0. After the correction both do.
func TestCheckAndRunAgree(t *testing.T) {
	people := slapdtest.Entry("p00000", email(0), picture(0)) + slapdtest.Entry("p00001", email(1), picture(1))
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: people})
	blind := slapdtest.Start(t, slapdtest.Config{LDIF: people, Access: "access to attrs=jpegPhoto by * none\n"})
	files := func(names ...string) func(string) {
		return func(dir string) {
			for i, name := range names {
				path := filepath.Join(dir, "photos", name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, picture(i), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	none := func(string) {}
	const folder = "type: folder, path: photos"
	ad := func(more string) string {
		return fmt.Sprintf("type: ldap, urls: [%q], bind_dn: %q, base_dn: %q%s", srv.URL, slapdtest.BindDN, slapdtest.BaseDN, more)
	}
	const person = ", filter: (objectClass=inetOrgPerson)"
	good := files(email(0)+".png", email(1)+".png")
	for name, c := range map[string]struct {
		put           func(dir string)
		wrong, right  string // of the source
		match, joined string // of match, before and after
		code          int
		finding       string
		cause         string // in what check says
	}{
		"an empty folder":           {none, folder, folder + ", may_be_empty: true", "", "", 3, outcome.NobodyListed, "is the share mounted"},
		"camera names":              {files("IMG_001.png", "IMG_002.png", "a/"+email(0)+".png"), folder, folder + ", recursive: true, mapping_file: map.csv", "", "", 3, outcome.FilesNameNobody, "IMG_001"},
		"employee numbers":          {files("10001.png", "10002.png"), folder, folder + ", mapping_file: map.csv", "", "", 3, outcome.FilesNameNobody, "employee numbers"},
		"photos in subfolders":      {files("a/"+email(0)+".png", "b/"+email(1)+".png"), folder, folder + ", recursive: true", "", "", 3, outcome.NobodyListed, "recursive"},
		"a wrong mail domain":       {files("p00000@corp.local.png", "p00001@corp.local.png"), folder, folder, "", "domains: {corp.local: example.com}", 3, outcome.NobodyInSmartsheet, "corp.local: example.com"},
		"another company's domain":  {files("p00000@example.org.png"), folder, folder, "", "domains: {example.org: example.com}", 3, outcome.NobodyInSmartsheet, "@example.org"},
		"a filter for nobody":       {none, ad(", filter: (objectClass=user)"), ad(person), "", "", 3, outcome.NobodyListed, "filter"},
		"a wrong photo attribute":   {none, ad(person + ", photo_attributes: [thumbnailPhoto]"), ad(person), "", "", 3, outcome.NobodyWithPhoto, "photo_attributes"},
		"a wrong mail attribute":    {none, ad(person + ", email_attributes: [userPrincipalName]"), ad(person), "", "", 3, outcome.EntriesWithoutAddress, "email_attributes"},
		"a missing folder":          {none, "type: folder, path: fotos", folder + ", may_be_empty: true", "", "", 1, "", "no such file"},
		"a wrong base DN":           {none, strings.Replace(ad(person), slapdtest.BaseDN, "dc=nowhere", 1), ad(person), "", "", 1, "", "base_dn"},
		"photos nobody may read":    {none, strings.NewReplacer(srv.URL, blind.URL, slapdtest.BindDN, slapdtest.ReaderDN).Replace(ad(person)), ad(person), "", "", 1, "", "the right to read it"},
		"a mapping without files":   {good, folder + ", mapping_file: map.csv", folder, "", "", 3, outcome.FilesNameNobody, "p00000"},
		"files of another kind":     {files(email(0)+".txt", email(1)+".doc"), folder, folder + ", may_be_empty: true", "", "", 3, outcome.NobodyListed, "not named"},
		"a source of other domains": {good, folder + ", domains: [example.org]", folder, "", "", 3, outcome.FilesNameNobody, "no own address in example.org"},
		"nobody of a group":         {none, ad(person + ", member_of: 'cn=nobody," + slapdtest.BaseDN + "'"), ad(person), "", "", 1, "", "there is no group"},
		"everybody excluded":        {good, folder, folder, "exclude: ['*@example.com']", "", 0, "", ""},
		"nothing wrong":             {good, folder, folder, "", "", 0, "", "2 of 2 people"},
		"one stranger":              {files(email(0)+".png", "stranger@example.com.png"), folder, folder, "", "", 0, "", "1 of 2 people"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, users(3), "")
			t.Chdir(s.dir)
			c.put(s.dir)
			conf, err := os.ReadFile(s.conf)
			if err != nil {
				t.Fatal(err)
			}
			set := func(source, match string) {
				text := string(conf)
				i, j := strings.Index(text, "sources:"), strings.Index(text, "state:")
				text = text[:i] + "sources: [{name: hr, " + source + "}]\nmatch: {" + match + "}\n" + text[j:]
				if err := os.WriteFile(s.conf, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(s.photos, "map.csv"), []byte("10001,p00000@example.com\n10002,p00001@example.com\nIMG_001,p00000@example.com\nIMG_002,p00001@example.com\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			set(c.wrong, c.match)
			text := s.agree(c.code)
			if !strings.Contains(text, c.cause) || c.finding != "" && !strings.Contains(text, `"finding":"`+c.finding+`"`) {
				t.Errorf("check says neither %q nor %q:\n%s", c.finding, c.cause, text)
			}
			if c.code != 0 {
				set(c.right, c.joined)
				s.agree(0)
			}
		})
	}
}

// agree runs check and sync, and demands that both end with this code and have the
// same findings. It returns what check says.
func (s *site) agree(code int) string {
	s.t.Helper()
	var out, errs bytes.Buffer
	env := func(name string) string {
		return map[string]string{"SMARTSHEET_ACCESS_TOKEN": token, "LDAP_BIND_PASSWORD": slapdtest.Password}[name]
	}
	if got := run(s.t.Context(), []string{"check", "--config", s.conf, "--output", "json"}, env, &out, &errs); got != code {
		s.t.Errorf("check: exit %d, want %d\n%s%s", got, code, out.String(), errs.String())
	}
	var checkup struct{ Findings []console.Check }
	if err := json.Unmarshal(out.Bytes(), &checkup); err != nil {
		s.t.Fatal(err)
	}
	var inCheck, inRun []string
	for _, k := range checkup.Findings {
		if k.Finding != "" {
			inCheck = append(inCheck, k.Finding+": "+k.Detail+" → "+k.Remedy)
		}
	}
	for _, f := range s.run(code, "sync").Findings {
		inRun = append(inRun, f.Code+": "+f.Message+" → "+f.Hint)
	}
	slices.Sort(inCheck)
	slices.Sort(inRun)
	if !slices.Equal(inCheck, inRun) {
		s.t.Errorf("check finds\n%s\na run\n%s", strings.Join(inCheck, "\n"), strings.Join(inRun, "\n"))
	}
	return out.String()
}
