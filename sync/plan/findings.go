package plan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"photosync/sources"
	"photosync/sync/outcome"
)

// Facts count everybody whom a run is about, and the people of other shards. Findings judges them.
type Facts struct {
	People      int                    // listed, or missing
	NothingToDo map[outcome.Reason]int // people without a step: why there is nothing to do
	Sources     []SourceFacts
	Matches
	Excluded      int            // other people with a photo, whom match leaves out
	Lost          int            // people with a photo who were users the last time, and are none now
	UserDomains   map[string]int // the users that this run saw, by the domain of their address
	AllUsers      bool           // it saw all of them
	Drifted       int            // users whose picture drifted and is sent again
	Unstable      int            // users for whom that stops: Smartsheet shows another image id after every upload
	Ours, OtherID int            // users with a picture who got one from us, if that matters; of these, who show another image id
}

// SourceFacts are about one source and what it listed.
type SourceFacts struct {
	sources.Named
	sources.Listing
	People    int     // with an address
	WithPhoto int     // of these, with a photo, as far as that is known
	Winners   int     // of these, whose photo from this source wins
	Hidden    int     // of People, whose photo the source does not show
	Unknown   int     // of People, who may have a photo that was not read
	Users     Matches // of the people whom the source lists
}

// Matches counts people with a photo, as far as that is known, whom match does not leave out.
type Matches struct {
	WithPhoto int
	Matched   int                    // of these, who are a Smartsheet user
	Waiting   map[outcome.Reason]int // of these, whose picture cannot be sent now
	Domains   map[string]int         // the others, by the domain of their address
}

func newMatches() Matches {
	return Matches{Waiting: map[outcome.Reason]int{}, Domains: map[string]int{}}
}

// NewFacts returns the facts of what each source listed, with nobody counted yet.
func NewFacts(srcs []sources.Named, listings []sources.Listing) *Facts {
	f := &Facts{NothingToDo: map[outcome.Reason]int{}, Matches: newMatches()}
	for _, s := range srcs {
		f.Sources = append(f.Sources, SourceFacts{Named: s, Users: newMatches()})
	}
	for i, l := range listings {
		f.Sources[i].Listing = l
	}
	return f
}

// Skip counts a listed person for whom there is nothing to do. winner is from the person's row.
func (f *Facts) Skip(j *sources.Joined, winner uint8, why outcome.Reason) {
	f.NothingToDo[why]++
	f.person(j, winnerOf(winner, j.Candidates), why != outcome.NoPhoto, true)
	if why != outcome.NoPhoto || Presence(j) == sources.Present { // match.ignore_pictures names it
		f.photo(j, true, why)
	}
}

// OtherShard counts a listed person of another shard.
func (f *Facts) OtherShard(j *sources.Joined) {
	f.NothingToDo[outcome.OutOfShard]++
	f.person(j, 0, false, false)
}

// Image counts a user who has a picture, and got one from us, if the policy depends on whose it is.
func (f *Facts) Image(r *Rules, w *Work) {
	matters := r.Policy.Existing == RespectUser || r.Policy.RemovedAfter > 0
	if u, c := w.User(), w.Current; matters && u != nil && u.ImageID != "" && c != nil && c.Intent == nil && c.Sent != nil && !c.Sent.Adopted {
		f.Ours++
		if u.ImageID != c.Sent.ImageID {
			f.OtherID++
		}
	}
}

// step counts the person whom a step is about.
func (f *Facts) step(r *Rules, s *Step) {
	w := s.Work
	f.Image(r, w)
	has := w.HasPhoto() && slices.ContainsFunc(w.Candidates, func(c sources.Candidate) bool { return !f.Sources[c.Source].NoPhotos })
	f.person(&w.Joined, w.winner(), has && s.Reason != outcome.NoPhoto, w.Photo != nil || !w.Moved())
	if has {
		f.photo(&w.Joined, len(w.Users) > 0 || w.Ambiguous, s.Reason)
	}
	if s.Reason == outcome.NotInSmartsheet && has && w.LastUser() != 0 {
		f.Lost++
	}
	if s.Reason == outcome.Drifted {
		f.Drifted++
	} else if r.stopsEnforcing(s) {
		f.Unstable++
	}
}

// person counts a person. has: the winner has a photo. read: some run read the candidates up to the winner.
func (f *Facts) person(j *sources.Joined, winner int, has, read bool) {
	f.People++
	for i, c := range j.Candidates {
		wins, s := has && i == winner, &f.Sources[c.Source]
		s.Add(c.HasPhoto, wins && read, !read || i > winner)
		if wins {
			s.Winners++
		}
	}
}

// photo counts a person with a photo. matched: the person is a user. why is the reason of the step.
func (f *Facts) photo(j *sources.Joined, matched bool, why outcome.Reason) {
	if why == outcome.Excluded {
		f.Excluded++
		return
	}
	all := append(make([]*Matches, 0, 4), &f.Matches) // no allocation for nearly everybody
	for _, c := range j.Candidates {
		if m := &f.Sources[c.Source].Users; c.HasPhoto != sources.Absent && !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	for _, m := range all {
		m.WithPhoto++
		if !matched {
			m.Domains[Domain(j.Own[0])]++
			continue
		}
		m.Matched++
		if waiting[why] != "" {
			m.Waiting[why]++
		}
	}
}

// waiting says what to do about users whose picture cannot be sent now.
var waiting = map[outcome.Reason]string{
	outcome.InactiveUser: "look at the status of these users in Smartsheet: invitations that nobody accepted, or accounts that were deactivated",
	outcome.BeingWritten: "the files are too young when a run looks at them: let it begin when the copying is done, or lower min_age",
	outcome.NoPhoto:      "correct match.ignore_pictures: it names the picture of all these people",
	outcome.KnownBad:     "look at the section image, and at the photos: hardly any of them can be used",
	outcome.Ambiguous:    "several entries, files or users have the same address, or the users have pictures of other entries: the items say what to do",
	outcome.SharedImage:  "name that picture in match.ignore_pictures if it is a stand-in, or raise guard.max_shared",
}

// Add counts a candidate: what was listed, whether it has the winning photo, and whether it was never read.
func (s *SourceFacts) Add(listed sources.Presence, has, unread bool) {
	s.People++
	switch {
	case listed == sources.Present || has && listed != sources.Hidden:
		s.WithPhoto++
	case listed == sources.Hidden:
		s.Hidden++
	case listed == sources.Unknown && unread:
		s.Unknown++
	}
}

const (
	fewPercent = 2  // less than this is "hardly anybody"
	manyPeople = 50 // of fewer people, "hardly anybody" means nothing
	shown      = 3  // examples in a sentence

	SomePeople = 10 // of fewer people, "nobody" may be normal
)

// Findings returns what is true of a whole run and needs a human, the most important first.
func (f *Facts) Findings() (fs []outcome.Finding) {
	for _, s := range f.Sources {
		fs = append(fs, s.Findings()...)
	}
	return append(fs, f.MatchFindings()...)
}

// MatchFindings returns the findings about people and users.
func (f *Facts) MatchFindings() (fs []outcome.Finding) {
	some := 1
	if f.NothingToDo[outcome.OutOfShard] > 0 { // a shard may have too few people to prove anything
		some = manyPeople
	}
	if few(f.Matched, f.WithPhoto, some) {
		fs = append(fs, f.inSmartsheet("", f.UserDomains))
	} else {
		for _, s := range f.Sources {
			if few(s.Users.Matched, s.Users.WithPhoto, SomePeople) {
				fs = append(fs, s.Users.inSmartsheet(s.Name, f.UserDomains))
			}
		}
		if all := f.Matched + f.Lost; len(fs) == 0 && f.Lost >= SomePeople && f.Lost*10 >= all {
			fs = append(fs, outcome.Attend(outcome.FewInSmartsheet, f.Lost, all,
				fmt.Sprintf("%s of %s people with a photo were Smartsheet users, and are none now", outcome.Number(f.Lost), outcome.Number(all)),
				"look at their addresses, in the directory and in Smartsheet: match.domains joins two domains; if the users are gone on purpose, photosync state forget ends this"))
		}
		if f.AllUsers && len(fs) == 0 {
			fs = f.foreignDomains()
		}
	}
	waits := 0
	for _, n := range f.Waiting {
		waits += n
	}
	if few(f.Matched-waits, f.Matched, SomePeople) {
		fs = append(fs, f.nobodyNow(waits))
	}
	if f.WithPhoto == 0 && f.Excluded >= some {
		fs = append(fs, outcome.Attend(outcome.EverybodyExcluded, f.Excluded, f.Excluded,
			fmt.Sprintf("match.include, match.exclude or exclude_filter leaves out everybody with a photo (people: %s)", outcome.Number(f.Excluded)),
			"correct their patterns, or the filter; photosync explain EMAIL shows a person's addresses"))
	}
	if f.Unstable > 0 && f.Drifted == 0 || f.OtherID >= SomePeople && f.OtherID == f.Ours {
		n := max(f.Unstable, f.OtherID)
		ids := outcome.Attend(outcome.ImageIDsNotStable, n, 0,
			fmt.Sprintf("Smartsheet shows another image id for each of %s users than after our upload: each picture counts as the user's own", outcome.Number(n)),
			"if these people chose their pictures themselves, all is well; else image ids are not stable here: use policy.existing: on_source_change, and policy.removed: report")
		if f.Unstable == 0 {
			ids.Severity = outcome.Notice
		}
		fs = append(fs, ids)
	}
	return fs
}

// Replaced is the finding that uploads replace pictures that photosync did not put there; Count may be 0.
func (p *Plan) Replaced() outcome.Finding {
	uploads := p.Uploads()
	var emails []string
	for _, s := range uploads {
		if s.To.ImageID != "" && !Ours(s.Record, *s.To) {
			emails = append(emails, s.Key())
		}
	}
	return outcome.Finding{
		Code: outcome.ReplacesPictures, Severity: outcome.Notice, Count: len(emails), Of: len(uploads), Examples: emails[:min(len(emails), 100)],
		Message: fmt.Sprintf("uploads that replace a picture which photosync does not know as its own: %s of %s", outcome.Number(len(emails)), outcome.Number(len(uploads))),
		Hint:    "Smartsheet keeps no copy; with policy.existing: respect_user or fill_empty such pictures stay",
	}
}

// foreignDomains returns a notice for each domain of many people in which Smartsheet has no user at all.
func (f *Facts) foreignDomains() (fs []outcome.Finding) {
	for _, d := range slices.Sorted(maps.Keys(f.Domains)) {
		if n := f.Domains[d]; n >= SomePeople && f.UserDomains[d] == 0 {
			fs = append(fs, outcome.Finding{Code: outcome.FewInSmartsheet, Severity: outcome.Notice, Count: n, Of: n,
				Message: fmt.Sprintf("people with a photo whose address ends in @%s: %s; no user in Smartsheet has such an address", d, outcome.Number(n)),
				Hint:    "if they are users under another domain, match.domains joins them: first make sure that nobody else has the same name there"})
		}
	}
	return fs
}

// Findings returns the findings about the source alone.
func (s *SourceFacts) Findings() (fs []outcome.Finding) {
	add := func(f outcome.Finding) {
		f.Source = s.Name
		fs = append(fs, f)
	}
	if len(s.Unnamed) > 0 {
		add(s.unnamed())
	}
	people := fmt.Sprintf("source %q lists %s people", s.Name, outcome.Number(s.People))
	switch {
	case s.People == 0 && len(s.Unnamed) == 0 && !s.MayBeEmpty && !s.Claims:
		hint := "check base_dn, filter and exclude_filter: photosync check shows what they find. If the source is meant to be empty, set may_be_empty: true"
		if s.Type == "folder" {
			hint = "check path: is the share mounted, is it the right folder, does recursive have to be true? If the folder is meant to be empty, set may_be_empty: true"
		}
		add(outcome.Attend(outcome.NobodyListed, 0, s.Entries, fmt.Sprintf("source %q lists nobody", s.Name), hint))
	case s.People == 0 || s.WithPhoto > 0 || s.Unknown > 0 && !s.NoPhotos:
	case s.Hidden > 0:
		add(outcome.Attend(outcome.NobodysPhotoReadable, s.Hidden, s.People,
			fmt.Sprintf("%s, and shows nobody's photo, though %s have one", people, outcome.Number(s.Hidden)),
			"give the account that photosync binds with the right to read the photo attribute; of a folder, the warnings name files to be replaced by JPEG files"))
	case !s.MayBeEmpty:
		add(outcome.Attend(outcome.NobodyWithPhoto, 0, s.People, people+", none of them with a photo",
			"check photo_attributes: which attribute holds the photo, and may the bind account read it? photosync explain EMAIL shows one entry"))
	}
	return fs
}

// unnamed is about files or entries without a usable address. A few of them are normal.
func (s *SourceFacts) unnamed() outcome.Finding {
	var quoted []string
	for _, n := range s.Unnamed[:min(len(s.Unnamed), shown)] {
		if !strings.HasPrefix(n, `"`) { // a source quotes names that are not printable
			n = fmt.Sprintf("%q", n)
		}
		quoted = append(quoted, n)
	}
	n := len(s.Unnamed)
	f := outcome.Finding{
		Code: outcome.EntriesWithoutAddress, Severity: outcome.Notice, Count: n, Of: s.People + n, Examples: s.Unnamed,
		Hint: "check email_attributes: which attribute holds the address? Accounts without a mailbox can be left out with filter",
	}
	text := "%s of %s entries of source %q have no usable address, such as %s"
	if s.Type == "folder" {
		f.Code, text = outcome.FilesNameNobody, "%s of %s files of source %q name nobody, such as %s"
		f.Hint = "name each file after the person's address, such as ann@example.com.jpg, or list it in a mapping_file; if the source has domains, the address must end in one of them"
		number := regexp.MustCompile(`^(.*/)?[A-Za-z]{0,2}[0-9]{3,}(\.[^./]*)?$`) // some digits, and perhaps a letter or two
		numbered := 0
		for _, name := range s.Unnamed {
			if number.MatchString(name) {
				numbered++
			}
		}
		if 2*numbered > n {
			f.Hint = "these look like employee numbers: mapping_file takes a list that gives each number its address"
		}
	}
	f.Message = fmt.Sprintf(text, outcome.Number(n), outcome.Number(f.Of), s.Name, strings.Join(quoted, ", "))
	if 2*n >= f.Of {
		f.Severity = outcome.Attention
	}
	return f
}

// few reports whether n of all people are hardly anybody. Fewer than some people prove nothing.
func few(n, all, some int) bool {
	return all >= some && n == 0 || all >= manyPeople && 100*n < fewPercent*all
}

// inSmartsheet is the finding that hardly anybody with a photo is a user; source may be empty.
func (m *Matches) inSmartsheet(source string, userDomains map[string]int) outcome.Finding {
	of := ""
	if source != "" {
		of = fmt.Sprintf(" of source %q", source)
	}
	people := outcome.Number(m.WithPhoto)
	out := outcome.Attend(outcome.NobodyInSmartsheet, m.WithPhoto-m.Matched, m.WithPhoto,
		fmt.Sprintf("none of the %s people with a photo%s is in Smartsheet", people, of),
		"check that the token belongs to the right account, and that the addresses are those that Smartsheet lists")
	out.Source = source
	switch {
	case m.WithPhoto == 1:
		out.Message = "the only person with a photo is not in Smartsheet"
	case m.Matched > 0:
		out.Code = outcome.FewInSmartsheet
		out.Message = fmt.Sprintf("Smartsheet knows only %s of the %s people with a photo%s", outcome.Number(m.Matched), people, of)
	}
	if here, there := most(m.Domains), most(userDomains); here != "" && there != "" && here != there {
		out.Message += fmt.Sprintf(": their addresses end in @%s, those of the users in @%s", here, there)
		out.Hint = fmt.Sprintf("if these are the same people, join them with match: {domains: {%s: %s}}", here, there)
	}
	return out
}

// nobodyNow is the finding that hardly any user's picture can be sent now; n have to wait.
func (m *Matches) nobodyNow(n int) outcome.Finding {
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(m.Waiting)) {
		if m.Waiting[why] > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", why, outcome.Number(m.Waiting[why])))
		}
	}
	return outcome.Attend(outcome.NobodyNow, n, m.Matched,
		fmt.Sprintf("the pictures of %s of %s users cannot be sent now: %s", outcome.Number(n), outcome.Number(m.Matched), strings.Join(parts, ", ")),
		waiting[most(m.Waiting)])
}

// AllPostponed is the finding that a run sent none of its n pictures, as all had to wait for the next run.
func AllPostponed(n int) (fs []outcome.Finding) {
	if n < SomePeople { // it may be chance
		return nil
	}
	return append(fs, outcome.Attend(outcome.NobodyNow, n, n,
		fmt.Sprintf("not one of %s pictures was sent: each photo, or its user, changed while the run was under way", outcome.Number(n)),
		"let the run begin when the export of the photos is done; the next run tries again"))
}

// most returns the key with the highest count; the first by name among equals.
func most[K ~string](counts map[K]int) (key K) {
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		if counts[k] > counts[key] {
			key = k
		}
	}
	return key
}
