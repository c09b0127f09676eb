package outcome

import "strconv"

// Words say a Reason for people.
type Words struct {
	Title   string // two or three words
	Meaning string // of many people, on the page: a sentence
	Rule    string // of one person, in an explanation: after "because"
}

var words = map[Reason]Words{
	New:              {"New", "These users had no picture from us yet.", "we have not put a picture on this user yet"},
	Changed:          {"Changed at the source", "The photo at the source has changed.", "the photo is not the one that we uploaded last"},
	RenderingChanged: {"Image settings changed", "The image settings have changed.", "the image settings changed since the last upload"},
	Drifted:          {"Drifted", "Smartsheet showed another picture than ours.", "policy.existing is enforce, and Smartsheet shows another picture than ours"},
	Forced:           {"Forced", "Uploaded because of --force.", "--force uploads unchanged pictures too"},
	Placeholder:      {"Placeholder", "The photo is gone from the sources. Neutral initials take its place.", "policy.removed is placeholder, no source has this photo any more, and Smartsheet still shows our picture"},
	Unchanged:        {"Unchanged", "There is nothing to do.", "this user has the picture already"},
	SamePicture:      {"Same picture", "The source changed, but the picture to be sent did not.", "the photo's bytes changed, but the picture to be sent did not"},
	NoPhoto:          {"No photo", "No source has a photo of these people.", "no source has a photo of this person"},
	NotInSmartsheet:  {"Not in Smartsheet", "No Smartsheet user has one of these addresses.", "no Smartsheet user has one of these addresses"},
	InactiveUser:     {"Inactive user", "The Smartsheet accounts of these people are not active.", "the Smartsheet user is not active"},
	Excluded:         {"Excluded", "match.include, match.exclude or a limit of this run leaves these people out.", "match.include or match.exclude leaves this person out, or the run is limited to another source"},
	Ambiguous:        {"More than one candidate", "Only a human can tell which is right.", "there are several candidates, and only a human can tell which is right"},
	SharedImage:      {"One picture for many people", "A silhouette, a logo or a bad import?", "more people than guard.max_shared have this identical picture"},
	UserChanged:      {"The user's own picture", "policy.existing leaves it alone.", "the picture in Smartsheet is not ours, and the policy leaves it alone"},
	KnownBad:         {"Refused before", "The same photos were refused before and have not changed since. We do not send them again until they do.", "the same bytes were refused before and did not change since"},
	InvalidImage:     {"Refused picture", "", "the picture cannot be used"},
	BeingWritten:     {"Being written", "The file is being copied, or is younger than min_age. The next run reads it.", "the file is still being written; the next run reads it"},
	Hidden:           {"Hidden photo", "There is a photo, but the source does not show it to us. We leave the picture in Smartsheet as it is.", "there is a photo, but the source does not show it to us"},
	HeldBack:         {"Held back", "A guard holds the whole run.", "a guard holds the whole run"},
	OutOfShard:       {"In another shard", "Another run answers for these people.", "another shard's run answers for this person"},
}

// Words returns r in plain English; for a value that this version does not know, the
// value itself.
func (r Reason) Words() Words {
	if w, ok := words[r]; ok {
		return w
	}
	return Words{Title: string(r), Rule: string(r)}
}

// Reasons returns every reason that has words.
func Reasons() []Reason {
	all := make([]Reason, 0, len(words))
	for r := range words {
		all = append(all, r)
	}
	return all
}

// Number writes n with its digits in groups of three: 1,234,567.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
