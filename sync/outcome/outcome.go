// Package outcome types, once, the words that a run is described in: why a person's
// picture is uploaded or not (Reason), what became of the person (Outcome), what is
// true of the whole run and needs a human (Finding), and which guard holds a run
// (Breach). It also has the one table that says them in plain English.
//
// The values are stable: they stand in reports, logs and metrics, and scripts compare
// them. The package decides nothing, and imports nothing of this project.
package outcome

import "errors"

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
	SamePicture     Reason = "same_picture" // the source changed, what would be sent did not
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
	Hidden          Reason = "photo_hidden"  // there is a photo, and the source does not show it
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
	Attention = "attention" // somebody is needed; exit code 3 as long as it holds
	Notice    = "notice"    // worth knowing; the exit code stays
)

// Codes of findings.
const (
	NobodyListed          = "nobody_listed"           // a source lists nobody
	NobodyWithPhoto       = "nobody_with_photo"       // a source lists people, none of them with a photo
	FilesNameNobody       = "files_name_nobody"       // a folder's files are not named after addresses
	EntriesWithoutAddress = "entries_without_address" // a directory's entries have no usable address
	NobodyInSmartsheet    = "nobody_in_smartsheet"    // nobody with a photo has a user
	FewInSmartsheet       = "few_in_smartsheet"       // hardly anybody with a photo has a user
	NobodysPhotoReadable  = "nobodys_photo_readable"  // there are photos, and the source shows none
	ClaimsLost            = "claims_lost"             // an address is claimed by two entries, and one of them lost it
	BackupFailing         = "backup_failing"          // the state could not be backed up
	ImageIDsNotStable     = "image_ids_not_stable"    // Smartsheet shows another image id at each look
	UsersNotUnderstood    = "users_not_understood"    // entries of Smartsheet's user list that make no sense
)

// Finding is what is true of a whole run and worth a human's attention.
type Finding struct {
	Code     string   `json:"code"`
	Severity string   `json:"severity"`
	Source   string   `json:"source,omitempty"` // the source that it is about
	Count    int      `json:"count"`
	Of       int      `json:"of"`
	Message  string   `json:"message"`            // one sentence
	Hint     string   `json:"hint"`               // what to do
	Examples []string `json:"examples,omitempty"` // everything it is about, or the first of it
}

// Stop is why a run ends before its work is done: a signal, or its time is over.
type Stop string

func (s Stop) Error() string { return string(s) }

// Hint is the advice that err, or an error in it, gives; empty if none does.
func Hint(err error) string {
	if _, ok := errors.AsType[Stop](err); ok {
		return "the next run continues"
	}
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}
