// Package outcome defines the words that describe a run: why a person's picture is uploaded or
// not (Reason), what became of the person (Outcome), what is true of the whole run and needs a
// human (Finding), and which guard holds a run (Breach). One table says them in plain English.
//
// The values are stable: reports, logs and metrics contain them, and scripts compare them.
// The package decides nothing, and imports nothing of this project.
package outcome

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
)

// Reason says why a person's picture is uploaded, or why it is not.
type Reason string

// Reasons to upload.
const (
	New              Reason = "new"               // we never put a picture on this user
	Changed          Reason = "changed"           // the photo is not the one we uploaded last
	RenderingChanged Reason = "rendering_changed" // the image settings changed
	Drifted          Reason = "drifted"           // Smartsheet shows another picture than ours
	Forced           Reason = "forced"            // --force
	Placeholder      Reason = "placeholder"       // the photo was removed at its source
)

// Reasons not to upload.
const (
	Unchanged       Reason = "unchanged"
	SamePicture     Reason = "same_picture" // the photo changed, the picture to be sent did not
	NoPhoto         Reason = "no_photo"
	NotInSmartsheet Reason = "not_in_smartsheet"
	InactiveUser    Reason = "inactive_user"
	Excluded        Reason = "excluded"
	Ambiguous       Reason = "ambiguous"    // two candidates: both are named
	SharedImage     Reason = "shared_image" // one picture for many people
	UserChanged     Reason = "user_changed" // the policy leaves the user's own picture alone
	KnownBad        Reason = "known_bad"    // the same bytes were refused before
	InvalidImage    Reason = "invalid_image"
	HeldBack        Reason = "held"          // by a guard
	BeingWritten    Reason = "being_written" // the file is being copied: the next run reads it
	Hidden          Reason = "photo_hidden"  // there is a photo, but it cannot be read or sent
	OutOfShard      Reason = "out_of_shard"  // another run answers for this person
)

// Outcome is what became, or will become, of a person in a run.
type Outcome string

// Outcomes.
const (
	Planned        Outcome = "planned"
	Uploaded       Outcome = "uploaded"
	PartialSuccess Outcome = "partial_success"
	Failed         Outcome = "failed"
	Skipped        Outcome = "skipped"
	Held           Outcome = "held"
	Unfinished     Outcome = "unfinished" // time budget, limit or signal: the next run continues
)

// Breach is a guard that holds a run.
type Breach struct {
	Guard   string `json:"guard"` // its key in the configuration
	Message string `json:"message"`
}

// Severities of a Finding.
const (
	Attention = "attention" // somebody has to act; exit code 3 as long as it holds
	Notice    = "notice"    // worth knowing; the exit code stays
)

// Codes of findings.
const (
	NobodyListed          = "nobody_listed"           // a source lists nobody
	NobodyWithPhoto       = "nobody_with_photo"       // a source lists people, none of them with a photo
	FilesNameNobody       = "files_name_nobody"       // a folder's files are not named after addresses
	EntriesWithoutAddress = "entries_without_address" // a directory's entries have no usable address
	NobodyInSmartsheet    = "nobody_in_smartsheet"    // nobody with a photo has a user
	EverybodyExcluded     = "everybody_excluded"      // match or exclude_filter leaves out everybody with a photo
	NobodyNow             = "nobody_now"              // hardly anybody's picture can be sent now: inactive users, files being written
	FewInSmartsheet       = "few_in_smartsheet"       // hardly anybody with a photo has a user
	NobodysPhotoReadable  = "nobodys_photo_readable"  // there are photos, and the source shows none
	ClaimsLost            = "claims_lost"             // two entries claim one address
	BackupFailing         = "backup_failing"          // the state could not be backed up
	ImageIDsNotStable     = "image_ids_not_stable"    // Smartsheet shows another image id each time
	StoppedEarly          = "stopped_early"           // the run was stopped, not by a signal, so early that the next one may get no further
	ReplacesPictures      = "replaces_pictures"       // users get a picture in place of one that is not ours
	UsersNotUnderstood    = "users_not_understood"    // Smartsheet's user list has entries that cannot be used
)

// Finding is what is true of a whole run and worth a human's attention.
type Finding struct {
	Code     string   `json:"code"`
	Severity string   `json:"severity"`
	Source   string   `json:"source,omitempty"` // the source concerned
	Count    int      `json:"count"`
	Of       int      `json:"of"`
	Message  string   `json:"message"`            // one sentence
	Hint     string   `json:"hint"`               // what to do
	Examples []string `json:"examples,omitempty"` // all files, entries, claims or users concerned, or the first of them
}

// Attend returns a finding that needs a human.
func Attend(code string, count, of int, message, hint string) Finding {
	return Finding{Code: code, Severity: Attention, Count: count, Of: of, Message: message, Hint: hint}
}

// Stop says why a run ends before its work is done: a signal, or its time is up.
type Stop string

func (s Stop) Error() string { return string(s) }
func (s Stop) Hint() string  { return "the next run continues" }

// Hint returns what to do, by the method Hint of err or of an error wrapped in it; empty if none has one.
func Hint(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}

// Recover, if deferred, makes a panic the error of its function: a fault of photosync ends the run,
// but there is still a report. Each goroutine needs its own.
func Recover(err *error) {
	if fault := recover(); fault != nil {
		*err = fmt.Errorf("a fault of photosync itself, please report it: %v\n%s", fault, debug.Stack())
	}
}

// WithHint gives err a hint what to do about it.
func WithHint(err error, hint string) error { return hinted{err, hint} }

type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }
func (h hinted) Hint() string  { return h.hint }

// Words describe a Reason for people.
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
	Unchanged:        {"Unchanged", "There is nothing to do.", "nothing changed since this user got the picture"},
	SamePicture:      {"Same picture", "The source changed, but the picture to be sent did not.", "the photo's bytes changed, but the picture to be sent did not"},
	NoPhoto:          {"No photo", "No source has a photo of these people.", "no source has a photo of this person"},
	NotInSmartsheet:  {"Not in Smartsheet", "No Smartsheet user has one of these addresses.", "no Smartsheet user has one of these addresses"},
	InactiveUser:     {"Inactive user", "The Smartsheet accounts of these people are not active.", "the Smartsheet user is not active"},
	Excluded:         {"Excluded", "match.include, match.exclude, exclude_filter or a limit of this run leaves these people out.", "match.include, match.exclude or exclude_filter leaves this person out, or the run is limited to another source"},
	Ambiguous:        {"More than one candidate", "Only a human can tell which is right.", "there are several candidates, and only a human can tell which is right"},
	SharedImage:      {"One picture for many people", "A silhouette, a logo or a bad import?", "more people than guard.max_shared have this identical picture"},
	UserChanged:      {"The user's own picture", "policy.existing leaves it alone.", "the picture in Smartsheet is not ours, and the policy leaves it alone"},
	KnownBad:         {"Refused before", "These photos have not changed since they were refused. Replace them at their source; --retry-failed sends them again as they are.", "the same bytes were refused before, and have not changed since"},
	InvalidImage:     {"Refused picture", "", "the picture cannot be used"},
	BeingWritten:     {"Being written", "The file is being copied, or is younger than min_age. The next run reads it.", "the file is still being written; the next run reads it"},
	Hidden:           {"Hidden photo", "There is a photo, but we cannot read it, or not send its kind of file. We leave the picture in Smartsheet as it is.", "there is a photo, but we cannot read it, or not send its kind of file"},
	HeldBack:         {"Held back", "The whole run is held.", "the whole run is held"},
	OutOfShard:       {"In another shard", "Another run answers for these people.", "another shard's run answers for this person"},
}

// Words returns r in plain English, or r itself if this version does not know it.
func (r Reason) Words() Words {
	if w, ok := words[r]; ok {
		return w
	}
	return Words{Title: string(r), Rule: string(r)}
}

// Number writes n with its digits in groups of three: 1,234,567.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
