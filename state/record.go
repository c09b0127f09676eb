package state

import "time"

// Record is what is remembered of one person. Photo bytes are never kept.
//
// Source, Ref, Stamp, SourceSHA256 and Rendering describe the last look that was
// settled: the photo was uploaded, or found unchanged, absent or refused for
// good. A failure that may pass leaves them as they were, so that the next run
// looks again.
type Record struct {
	Email  string `json:"email"` // canonical; the key
	UserID int64  `json:"user_id,omitempty"`

	Source       string `json:"source,omitempty"`
	Ref          string `json:"ref,omitempty"` // as people read it
	Stamp        string `json:"stamp,omitempty"`
	SourceSHA256 string `json:"source_sha256,omitempty"` // hex; empty: no photo
	Rendering    string `json:"rendering,omitempty"`     // fingerprint of the image settings

	UploadSHA256 string    `json:"upload_sha256,omitempty"` // hex; empty: nothing uploaded yet
	ImageID      string    `json:"image_id,omitempty"`      // as the upload's answer gave it
	UploadedAt   time.Time `json:"uploaded_at,omitzero"`
	RunID        string    `json:"run_id,omitempty"` // of that upload

	// Missing counts the complete runs in a row in which no source had a photo of
	// the person. Placeholder: the picture that we uploaded last is a drawn one, in
	// the place of a photo that was removed. Adopted: the state was lost, and the
	// picture that was in Smartsheet then is taken for uploaded; nobody knows whose it
	// is.
	Missing     int  `json:"missing,omitempty"`
	Placeholder bool `json:"placeholder,omitempty"`
	Adopted     bool `json:"adopted,omitempty"`

	Failure *Failure `json:"failure,omitempty"` // of the last attempt; nil after a success
}

// Failure is the last attempt that failed for a person.
type Failure struct {
	Code    string    `json:"code"` // errorCode, or the code of a refused picture
	RefID   string    `json:"ref_id,omitempty"`
	Status  int       `json:"status,omitempty"` // HTTP
	Message string    `json:"message"`
	Hash    string    `json:"hash,omitempty"` // SHA-256 of the source bytes that failed, hex
	Final   bool      `json:"final"`          // the same bytes would be refused again
	Count   int       `json:"count"`          // times in a row with the same hash
	At      time.Time `json:"at"`
	RunID   string    `json:"run_id,omitempty"`
}
