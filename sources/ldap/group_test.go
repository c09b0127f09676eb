package ldap

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"photosync/sources"
	"photosync/sources/ldap/slapdtest"
)

// Members of a group, also through groups in it, but for those who do not consent;
// with more groups than a search without pages gives.
func TestGroupsAndConsent(t *testing.T) {
	of := func(class, name, members string) string {
		return fmt.Sprintf("dn: cn=%s,%s\nobjectClass: %s\ncn: %s\n%s\n", name, slapdtest.Suffix, class, name, members)
	}
	group := func(name, members string) string { return of("groupOfNames", name, members) }
	url := func(u string) string { return "memberURL: ldap:///" + u + "\n" }
	member := func(uid string) string { return "member: uid=" + uid + "," + slapdtest.BaseDN + "\n" }
	ldif := many(6) +
		group("photos", member("u00")+"member: CN=Inner,"+slapdtest.Suffix+"\n") +
		group("inner", member("U01")+member("u02")+"member: cn=photos,"+slapdtest.Suffix+"\n") + // a circle
		group("other", member("u03")) +
		of("posixGroup", "unix", "gidNumber: 7\nmemberUid: U04\nmemberUid: u05\nmemberUid: away\n") +
		of("posixGroup", "empty", "gidNumber: 8\n") +
		of("groupOfURLs", "search", url(slapdtest.BaseDN+"??sub?(uid=u01)")) +
		of("groupOfNames", "mixed", member("u00")+"member: cn=unix,"+slapdtest.Suffix+"\n") +
		of("groupOfNames", "gone", "member: uid=gone,"+slapdtest.BaseDN+"\n") +
		strings.Replace(slapdtest.Entry("u09", "u09@example.com", nil), "\n\n", "\nemployeeType: no photo\n\n", 1)
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: ldif, Access: "access to attrs=telephoneNumber by * none\n", Limits: "size.soft=2 size.hard=2 size.prtotal=unlimited"})
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"everyone":                    {func(*Options) {}, "[u00 u01 u02 u03 u04 u05 u09]"},
		"members":                     {func(o *Options) { o.MemberOf = "cn=Photos," + slapdtest.Suffix }, "[u00 u01 u02]"},
		"those who consent":           {func(o *Options) { o.ExcludeFilter = "(employeeType=no photo)" }, "[u00 u01 u02 u03 u04 u05]"},
		"nobody, if it can't be told": {func(o *Options) { o.ExcludeFilter = "(telephoneNumber=*)" }, "[] exclude_filter leaves out every entry that matches filter"},
		"nobody, of a group":          {func(o *Options) { o.ExcludeFilter, o.MemberOf = "(notInTheSchema=x)", "cn=Photos,"+slapdtest.Suffix }, "[] exclude_filter leaves out every entry"},
		"no entries to exclude":       {func(o *Options) { o.Filter, o.ExcludeFilter = "(uid=nobody)", "(notInTheSchema=x)" }, "[] no entry below base_dn matches filter"},
		"members by uid":              {func(o *Options) { o.MemberOf = "cn=unix," + slapdtest.Suffix }, "[u04 u05]"},
		"members by a search":         {func(o *Options) { o.MemberOf = "cn=search," + slapdtest.Suffix }, `names members by a search (memberURL), which is not followed`},
		"groups of all kinds":         {func(o *Options) { o.MemberOf = "cn=mixed," + slapdtest.Suffix }, "[u00 u04 u05]"},
		"a group without members":     {func(o *Options) { o.MemberOf = "cn=empty," + slapdtest.Suffix }, `[] "cn=empty,dc=example,dc=test" has no members`},
		"a group of others":           {func(o *Options) { o.MemberOf = "cn=gone," + slapdtest.Suffix }, `[] no member of "cn=gone,dc=example,dc=test" is below base_dn and matches filter`},
		"no entries":                  {func(o *Options) { o.Filter = "(uid=nobody)" }, "[] no entry below base_dn matches filter"},
		"no addresses":                {func(o *Options) { o.EmailAttributes = []string{"telephoneNumber"} }, "[] no entry below base_dn that matches filter has an address"},
		"a group that is not there":   {func(o *Options) { o.MemberOf = "cn=nowhere," + slapdtest.Suffix }, "there is no group"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(srv)
			o.BindDN = slapdtest.ReaderDN
			c.change(&o)
			var got []string
			l, err := open(t, o).List(t.Context(), func(p sources.Person) error {
				got = append(got, strings.TrimSuffix(p.Own[0], "@example.com"))
				return nil
			})
			slices.Sort(got)
			if strings.Contains(o.ExcludeFilter, "no photo") != (fmt.Sprint(l.Reserved) == "[u09@example.com]") {
				t.Errorf("reserved %q", l.Reserved)
			}
			text := fmt.Sprint(got, err)
			if _, why, found := strings.Cut(fmt.Sprint(l.Warnings), "nobody is listed: "); found {
				text = "[] " + why
			}
			if !strings.Contains(text, c.want) || l.Complete != (err == nil) {
				t.Errorf("listed %s, want %s", text, c.want)
			}
		})
	}
}
