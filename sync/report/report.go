// Package report is what a run reports: the model that scripts read, and its writers. It decides
// nothing about people. The names in the JSON are stable; see schema_version.
package report

import (
	"cmp"
	"slices"
	"time"

	"photosync/sync/outcome"
)

// SchemaVersion is the version of the JSON. It grows when a field changes its
// meaning or goes away; new fields may appear without it.
const SchemaVersion = 1

// Results of a run.
const (
	Success     = "success"
	Partial     = "partial" // done, but some people need attention
	Failed      = "failed"
	Held        = "held"
	Interrupted = "interrupted"
	NothingToDo = "nothing_to_do"
)

type Report struct {
	SchemaVersion int               `json:"schema_version"`
	RunID         string            `json:"run_id"`
	Version       string            `json:"version"`
	Mode          string            `json:"mode"` // sync, plan or apply
	Full          bool              `json:"full"` // a sync of everybody, and all sources were listed
	Result        string            `json:"result"`
	ExitCode      int               `json:"exit_code"`
	StartedAt     time.Time         `json:"started_at"`
	FinishedAt    time.Time         `json:"finished_at"`
	Account       string            `json:"account,omitempty"` // of Smartsheet: the root of the API, and the account's id
	PlanID        string            `json:"plan_id"`
	Rendering     string            `json:"rendering,omitempty"` // fingerprint of the image settings
	Error         *Error            `json:"error"`
	Findings      []outcome.Finding `json:"findings"`           // about the whole run, the most urgent first
	Warnings      []string          `json:"warnings,omitempty"` // what went wrong beside the run: a notice that could not be sent

	Approve         string                 `json:"approve,omitempty"`   // the command that approves a plan that guards hold
	PlanFile        string                 `json:"plan_file,omitempty"` // where the plan was written for photosync apply
	Guards          []outcome.Breach       `json:"guards,omitempty"`    // that hold the run, or would hold a sync
	QuotaPerMinute  int                    `json:"quota_per_minute,omitempty"`
	CallErrors      []AttemptError         `json:"call_errors,omitempty"` // of calls that are no uploads, also if they went well in the end
	Timeline        []Minute               `json:"timeline,omitempty"`    // of the last 24 hours of the run
	Sources         []Source               `json:"sources"`
	Totals          Totals                 `json:"totals"`
	SkippedByReason map[outcome.Reason]int `json:"skipped_by_reason"`
	Items           []Item                 `json:"items"` // everyone who was not simply unchanged, by email
}

// Error says why a run failed or stopped as a whole.
type Error struct {
	Message    string `json:"message"`
	Hint       string `json:"hint,omitempty"`
	HTTPStatus int    `json:"http_status,omitempty"`
	ErrorCode  int    `json:"error_code,omitempty"`
	RefID      string `json:"ref_id,omitempty"`
}

type Source struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	Complete  bool     `json:"complete"`
	Listed    int      `json:"listed"`     // entries or files seen
	WithPhoto int      `json:"with_photo"` // people whose photo comes from here
	Pages     int      `json:"pages"`
	Warnings  []string `json:"warnings"`
}

// Totals counts people by outcome, and what the run cost.
type Totals struct {
	People         int   `json:"people"`
	Planned        int   `json:"planned"` // only in mode plan
	Uploaded       int   `json:"uploaded"`
	PartialSuccess int   `json:"partial_success"`
	Failed         int   `json:"failed"`
	Skipped        int   `json:"skipped"` // without those unchanged
	Held           int   `json:"held"`
	Unfinished     int   `json:"unfinished"`
	Unchanged      int   `json:"unchanged"`
	Verified       int   `json:"verified,omitempty"`   // uploaded, and --verify saw the picture
	Unverified     int   `json:"unverified,omitempty"` // uploaded, and --verify saw another one or none
	Requests       int64 `json:"requests"`
	Retries        int64 `json:"retries"`
	RateLimited    int64 `json:"rate_limited"`
	BytesUploaded  int64 `json:"bytes_uploaded"`
	QuotaWaitMS    int64 `json:"quota_wait_ms"` // waiting for quota, summed over workers
	ETA            int64 `json:"eta"`           // seconds that planned and unfinished uploads take at the pace of the quota; 0: there are none
}

// Minute is the traffic with Smartsheet in one minute of the clock.
type Minute struct {
	Start       time.Time `json:"start"`
	Requests    int64     `json:"requests"`
	RateLimited int64     `json:"rate_limited"`
	WaitMS      int64     `json:"wait_ms"` // waiting for quota, summed over workers
}

// Item is what became of one person. Pointers are null in the JSON where Smartsheet said nothing.
type Item struct {
	Email         string          `json:"email"`
	UserID        int64           `json:"user_id"`
	Source        string          `json:"source"`
	Ref           string          `json:"ref"`
	Reason        outcome.Reason  `json:"reason"`
	Outcome       outcome.Outcome `json:"outcome"`
	Code          string          `json:"code,omitempty"` // of a refused picture: empty, truncated, …
	Attempts      int             `json:"attempts"`
	HTTPStatus    int             `json:"http_status"`
	Message       string          `json:"message"`
	ResultCode    *int            `json:"result_code"`
	ErrorCode     *int            `json:"error_code"`
	RefID         *string         `json:"ref_id"`
	FailedItems   []FailedItem    `json:"failed_items"`
	EarlierErrors []AttemptError  `json:"earlier_errors,omitempty"`
	Image         *Image          `json:"image,omitempty"`
	ImageID       string          `json:"image_id,omitempty"`
	Verified      *bool           `json:"verified,omitempty"`   // Smartsheet showed this image id when it was asked again; null: it was not asked
	Unverified    bool            `json:"unverified,omitempty"` // it showed another one, or none; or neither the answer nor a look-up showed one
	DurationMS    int64           `json:"duration_ms"`
	Hint          string          `json:"hint,omitempty"`
	// AlreadyReported: an earlier report said the same, and nothing changed since. The item
	// does not raise the exit code.
	AlreadyReported bool     `json:"already_reported,omitempty"`
	Candidates      []string `json:"candidates,omitempty"` // of an ambiguous person
}

// FailedItem is an entry of failedItems in a PARTIAL_SUCCESS answer.
type FailedItem struct {
	Index     int     `json:"index"`
	ErrorCode *int    `json:"error_code"` // null: the answer gave none
	RefID     *string `json:"ref_id"`
	Message   string  `json:"message"`
}

// AttemptError is an attempt that failed before the last one.
type AttemptError struct {
	HTTPStatus int    `json:"http_status"`
	ErrorCode  int    `json:"error_code"`
	RefID      string `json:"ref_id"`
	Message    string `json:"message"`
}

// Image is the picture of an item, as it is sent and as the source has it.
type Image struct {
	Format       string   `json:"format"`
	Width        int      `json:"width"`
	Height       int      `json:"height"`
	Bytes        int      `json:"bytes"`
	SourceFormat string   `json:"source_format"`
	SourceWidth  int      `json:"source_width"` // as stored, before it was turned upright
	SourceHeight int      `json:"source_height"`
	SourceBytes  int      `json:"source_bytes"`
	SourceSHA256 string   `json:"source_sha256"`
	UploadSHA256 string   `json:"upload_sha256"`
	Changes      []string `json:"changes,omitempty"`   // what was done to the source's picture
	Thumbnail    string   `json:"thumbnail,omitempty"` // of what is sent: a data: URI of a JPEG
	Before       string   `json:"before,omitempty"`    // of what Smartsheet showed, the same
}

// WithoutPictures returns the item without its thumbnails.
func (it Item) WithoutPictures() Item {
	if it.Image != nil {
		image := *it.Image
		image.Thumbnail, image.Before = "", ""
		it.Image = &image
	}
	return it
}

// New begins the report of a run.
func New(mode, runID, version string, startedAt time.Time) *Report {
	return &Report{
		SchemaVersion: SchemaVersion, RunID: runID, Version: version, Mode: mode,
		StartedAt: startedAt, FinishedAt: startedAt, Findings: []outcome.Finding{}, Sources: []Source{}, SkippedByReason: map[outcome.Reason]int{}, Items: []Item{},
	}
}

// Add adds items to the report, sorted, and to its totals. The caller must not use items again.
func (r *Report) Add(items ...Item) {
	t := &r.Totals
	counts := map[outcome.Outcome]*int{
		outcome.Planned: &t.Planned, outcome.Uploaded: &t.Uploaded, outcome.PartialSuccess: &t.PartialSuccess, outcome.Failed: &t.Failed,
		outcome.Held: &t.Held, outcome.Unfinished: &t.Unfinished,
	}
	items = slices.DeleteFunc(items, func(it Item) bool { return it.Reason == outcome.Unchanged }) // apply: they are counted already
	for i := range items {
		it := &items[i]
		if n := counts[it.Outcome]; n != nil {
			*n++
		}
		if it.Outcome == outcome.Skipped {
			r.Skip(it.Reason, 1)
		}
		if it.Outcome == outcome.Uploaded && it.Image != nil {
			t.BytesUploaded += int64(it.Image.Bytes)
		}
		if it.Unverified { // the upload saw that
			r.Verify(it, "no picture")
		}
	}
	if len(r.Items) == 0 && len(items) > 0 { // no copy: there may be an item for everybody in the company
		r.Items = items
	} else {
		r.Items = append(r.Items, items...)
	}
	slices.SortFunc(r.Items, func(a, b Item) int { return cmp.Or(cmp.Compare(a.Email, b.Email), cmp.Compare(a.Ref, b.Ref)) })
}

// NeedsAttention reports whether a human should look at this person.
func (it *Item) NeedsAttention() bool {
	if it.AlreadyReported {
		return false
	}
	switch it.Outcome {
	case outcome.Failed, outcome.PartialSuccess, outcome.Held:
		return true
	}
	return it.Unverified || it.Outcome == outcome.Skipped && (it.Reason == outcome.Ambiguous || it.Reason == outcome.Hidden || it.Reason == outcome.KnownBad)
}

// Skip counts n people who are skipped for one reason and have no items.
func (r *Report) Skip(reason outcome.Reason, n int) {
	if n > 0 {
		r.Totals.Skipped += n
		r.SkippedByReason[reason] += n
	}
}

// Verify says in an uploaded item that Smartsheet shows its picture, or what it shows instead.
func (r *Report) Verify(it *Item, instead string) {
	if it.Verified = new(instead == ""); *it.Verified {
		r.Totals.Verified++
		return
	}
	it.Unverified = true
	it.Message += ", but Smartsheet shows " + instead
	it.Hint = "look at the person's picture in Smartsheet; sync --force --only EMAIL uploads it again"
	r.Totals.Unverified++
}

// NeedsAttention counts the people whom a human should look at, without those who were
// reported before and have not changed since.
func (r *Report) NeedsAttention() (n int) {
	for i := range r.Items {
		if r.Items[i].NeedsAttention() {
			n++
		}
	}
	return n
}

// NeedsSomebody reports whether a human should look at the run: at people in it, or at a
// finding about the whole run.
func (r *Report) NeedsSomebody() bool { return r.Urgent() || r.NeedsAttention() > 0 }

// Urgent reports whether a finding about the whole run needs a human.
func (r *Report) Urgent() bool {
	return slices.ContainsFunc(r.Findings, func(f outcome.Finding) bool { return f.Severity == outcome.Attention })
}
