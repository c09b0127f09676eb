// Package sources says what a source of photos is: something that lists
// people cheaply, without photo bytes, and reads a few photos later by
// reference. It holds the canonical form of an email address and the
// composition of several sources by precedence. The adapters live in the
// folders below it and know neither each other nor Smartsheet.
package sources

import (
	"cmp"
	"context"
	"errors"
	"strings"
)

// MaxPhotoBytes is the most that a source reads of one photo. It bounds the
// memory of a run (workers x MaxPhotoBytes); it is far above what Smartsheet
// takes, so that a picture from a camera can still be scaled down.
const MaxPhotoBytes = 16 << 20

// Errors that Photo.Err wraps.
var (
	// ErrNoPhoto means that the reference was read and holds no photo (an LDAP
	// entry without the attribute). An existing but empty photo is a Photo
	// without data and without error.
	ErrNoPhoto = errors.New("no photo")
	// ErrGone means that the reference no longer exists: it was deleted or
	// renamed after the listing.
	ErrGone = errors.New("no longer there")
	// ErrDenied means that there may be a photo, and the source says that it may not
	// be read. It is not ErrNoPhoto: rights that are given later change no Stamp.
	ErrDenied = errors.New("the photo may not be read")
	// ErrTooLarge means that the photo has more than MaxPhotoBytes.
	ErrTooLarge = errors.New("photo too large")
	// ErrUnstable means that the photo is being written: it changed while it was
	// read, or did so just before. The next run can read it.
	ErrUnstable = errors.New("it is being written")
)

// Source is one place that photos come from. Both methods are safe for
// concurrent use and return soon after ctx is done, with its error.
type Source interface {
	// List calls each for every person, one at a time and in no particular
	// order, and stops at the first error that each returns. A listing is
	// complete or List returns an error: what each saw before an error must not
	// be taken for the whole. The Listing is filled in as far as known in both
	// cases.
	List(ctx context.Context, each func(Person) error) (Listing, error)

	// Photos reads the photos of refs, in small batches, and calls each exactly
	// once for every distinct ref, one call at a time, in any order. A photo
	// that cannot be had is a Photo with Err; Photos itself returns an error
	// only when the source as a whole failed, or with the error of each.
	Photos(ctx context.Context, refs []Ref, each func(Photo) error) error
}

// Ref names a person's photo within its source.
type Ref struct {
	Name string // what people read: the file's path below the folder, the entry's DN
	Key  string // what the source reads by, stable across renames (entryUUID, objectGUID); empty: Name
}

// Compare orders references by name.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(strings.Compare(r.Name, o.Name), strings.Compare(r.Key, o.Key))
}

// Presence tells whether a listing knows of a photo without reading it.
type Presence uint8

const (
	Unknown Presence = iota // only reading tells
	Present
	Absent
)

// Person is one entry of a listing: who, where the photo is, and a change mark.
type Person struct {
	Emails      []string // canonical (see Email), preferred first, distinct, at least one
	DisplayName string   // may be empty
	Ref         Ref
	// Stamp is a cheap change mark, compared for equality only: as long as it is
	// the same, the photo is. Empty means that only reading tells.
	Stamp    string
	HasPhoto Presence
}

// Photo is what was read for a Ref: the bytes as the source holds them, or Err.
// The receiver may keep Data, or call Done and not look at it again.
type Photo struct {
	Ref  Ref
	Data []byte
	Err  error
	// Moved means that this is not, or not surely, what the listing's Stamp stands
	// for: it changed in between, or comes from another server. That Stamp must not
	// be remembered for it.
	Moved bool
	// Lender is who wants the memory of Data back, by Done, from those who do not keep
	// it; nil: nobody.
	Lender *Buffers
}

// Listing is the proof that goes with a list of people.
type Listing struct {
	Entries  int      // entries or files looked at, people or not
	Pages    int      // pages of a paged search; 0 where there are none
	Warnings []string // what was left out and why, one line each, with a count
	Complete bool     // everything there was has been seen
}

// Named is a source with the name and type it has in the configuration.
type Named struct {
	Name string
	Type string // "folder", "ldap"
	Source
}
