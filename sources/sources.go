// Package sources lists people and reads their photos, from any number of places. A
// [Source] lists everybody cheaply, without photo bytes, and reads a few photos later
// by reference. [Join] lists the sources in order of precedence, makes one sorted list
// of people, and decides who holds which address:
//
//	source "hr" (first)       source "ad"                    people
//	ann@x  ann.jpg            ann@x         CN=Ann    ─▶     ann@x   hr/ann.jpg, then ad/CN=Ann
//	                          bob@x, b@x    CN=Bob    ─▶     b@x, bob@x   ad/CN=Bob
//	                          cy@x (b@x)    CN=Cy     ─▶     cy@x    ad/CN=Cy; its alias b@x is lost to CN=Bob
//
// Of a person's candidates, the first that has a photo wins. Often only reading shows which.
// The package knows neither Smartsheet nor the state, and never decides whether a photo is
// uploaded. The adapters are in the folders below it.
package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"photosync/sync/foreign"
)

// MaxPhotoBytes is the size of the largest photo that a source reads. It bounds the memory of a
// run. Pictures from cameras are smaller, and can be scaled down.
const MaxPhotoBytes = 16 << 20

// Errors that Photo.Err wraps.
var (
	// ErrNoPhoto means that the reference was read and holds no photo. An existing
	// but empty photo is a Photo without data and without error.
	ErrNoPhoto = errors.New("no photo")
	// ErrDenied means that there may be a photo that photosync is not allowed to read. It is
	// not ErrNoPhoto: granting the right later changes no Stamp.
	ErrDenied   = errors.New("the photo may not be read")
	ErrGone     = errors.New("no longer there")     // deleted or renamed after the listing
	ErrTooLarge = errors.New("photo too large")     // more than MaxPhotoBytes
	ErrUnstable = errors.New("it is being written") // changed while it was read, or just before

	// ErrMoved is an error of Source.List: the place changed during the listing, so that
	// somebody may be missing. Join lists the source again, once.
	ErrMoved = errors.New("it changed while it was listed")
)

// Source is one place that photos come from. Both methods are safe for concurrent use, and
// return soon after ctx is done, with the error of ctx.
type Source interface {
	// List calls each for every person, one at a time and in any order, and stops at the
	// first error that each returns. A listing is complete, or List returns an error. In both
	// cases the Listing is filled in as far as known.
	List(ctx context.Context, each func(Person) error) (Listing, error)

	// Photos reads the photos of refs and calls each exactly once for every distinct ref, one
	// call at a time, in any order. A photo that cannot be read is a Photo with Err. Photos
	// returns an error if the whole source fails, or if each does.
	Photos(ctx context.Context, refs []Ref, each func(Photo) error) error
}

// Ref names a person's photo within its source.
type Ref struct {
	Name string // what people read: the file's path below the folder, the entry's DN
	Key  string // stays the same when the entry is renamed (entryUUID, objectGUID); empty: the source has none
	Mark string // for the source's own use, when it reads the photo
}

// Compare orders references by name.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(strings.Compare(r.Name, o.Name), strings.Compare(r.Key, o.Key), strings.Compare(r.Mark, o.Mark))
}

// Presence is what a listing knows about a photo without reading it.
type Presence uint8

const (
	Unknown Presence = iota // only reading shows it
	Present
	Absent
	Hidden // there is a photo that may not be read, or cannot be sent
)

// Person is one entry of a listing. Addresses are canonical (see Email), sorted and distinct (see Addresses).
type Person struct {
	Own         []string // at least one: the address in a file's name, or all of the first email attribute
	Aliases     []string // its other addresses, none of Own
	DisplayName string   // may be empty
	Ref         Ref
	// Stamp is a cheap change mark, compared for equality only: as long as it is
	// the same, the photo is. Empty means that only reading shows a change.
	Stamp    string
	HasPhoto Presence
}

// Addresses returns own and aliases in the form that a Person has: sorted, distinct, and without
// aliases that are own addresses. It may reorder its arguments.
func Addresses(own, aliases []string) (sortedOwn, sortedAliases []string) {
	slices.Sort(own)
	slices.Sort(aliases)
	own = slices.Compact(own)
	return own, slices.DeleteFunc(slices.Compact(aliases), func(a string) bool {
		_, found := slices.BinarySearch(own, a)
		return found
	})
}

// Photo is what was read for a Ref: the bytes as the source holds them, or Err.
// The receiver may keep Data, or call Done and not use it again.
type Photo struct {
	Ref    Ref
	Data   []byte
	Err    error
	Moved  bool     // Data may not be what the listed Stamp stands for: the Stamp must not be remembered
	Emails []string // the entry's addresses when the photo was read; nil: not known
	Lender *Buffers // Done gives the memory of Data back to it; nil: Data was not lent
}

// Done gives the memory of Data back, if it was lent.
func (p Photo) Done() {
	if p.Lender != nil {
		p.Lender.pool.Put(&p.Data)
	}
}

// Buffers lends memory for photos; Photo.Done gives it back. Without it, hashing takes 1.4 times
// the CPU time. The zero value is ready.
type Buffers struct{ pool sync.Pool }

// Get returns a buffer of n bytes with any content.
func (b *Buffers) Get(n int) []byte {
	const step = 4 << 10 // rounded up, so that most other photos fit
	if p, ok := b.pool.Get().(*[]byte); ok && cap(*p) >= n {
		return (*p)[:n]
	}
	return make([]byte, n, (n/step+1)*step)
}

// Listing is the proof that goes with a list of people, and what was left out.
type Listing struct {
	Entries    int      // entries or files seen, people or not
	Pages      int      // pages of a paged search; 0 where there are none
	Warnings   []string // what was left out and why, one line each, with a count
	Complete   bool     // nothing is missing
	Reserved   []string // addresses of entries that exclude_filter leaves out: nobody may claim them
	Unnamed    []string // all entries or files without a usable address, sorted; for people to read
	NotRemoved []string // their keys, or else names, and folders that were not listed or have no photo: no photo of these was removed
	Claims     bool     // somebody listed has an address, even if somebody else holds it in the end
	NoPhotos   bool     // the source knows that none of the people listed has a photo
}

// Fact is something that a source knows about a person, for people to read.
type Fact struct {
	Name  string `json:"name"` // of the attribute, or a word for the fact
	Value string `json:"value"`
}

// Describer is a Source that can say more about an entry than List does.
type Describer interface {
	Describe(ctx context.Context, ref Ref) ([]Fact, error)
}

// Text returns a foreign value in a form that can be shown; its size, if it is not text.
func Text(value string) string {
	if !utf8.ValidString(value) {
		return fmt.Sprintf("%d bytes that are not text", len(value))
	}
	return foreign.Line(value, 200)
}

// maxEmailBytes is SMTP's limit without the angle brackets (RFC 5321, section 4.5.3.1.3).
const maxEmailBytes = 254

// Email returns the canonical form of an email address, by which the sources, the state and Smartsheet are
// matched: trimmed, the local part in lower case and NFC, the domain as the DNS has it. Dots and a plus-suffix
// stay, as do ß and ss: two people's addresses may differ only in these. Local parts in quotes are refused.
func Email(s string) (string, error) {
	email, ascii := strings.TrimSpace(s), isASCII(s)
	if ascii {
		email = strings.ToLower(email) // makes no copy of a canonical address, as nearly all are
	}
	local, host, found := strings.Cut(email, "@")
	var err error
	if !ascii {
		local = norm.NFC.String(strings.Map(lower, norm.NFC.String(local)))
		host, err = domain(host)
		email = local + "@" + host
	}
	switch {
	case !found || strings.Contains(host, "@"):
		return "", fmt.Errorf("email %q: write the whole address, with one @", s)
	case local == "" || strings.Trim(host, ".") != host || host == "":
		return "", fmt.Errorf("email %q: want a name before the @ and a domain after it", s)
	case err != nil:
		return "", fmt.Errorf("email %q: %w", s, err)
	case len(email) > maxEmailBytes:
		return "", fmt.Errorf("email %.40q…: longer than %d bytes", s, maxEmailBytes)
	}
	for _, r := range email { // RFC 5322, section 3.2.3; RFC 6532. A comma separates addresses in Smartsheet's filter
		plain := 'a' <= r && r <= 'z' || '0' <= r && r <= '9' // nearly always
		if !plain && (r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`,;:<>()[]\"`, r)) {
			return "", fmt.Errorf("email %q: %q is not allowed", s, r)
		}
	}
	return email, nil
}

// lower returns the lower case of r if its upper case is r again, and else r: İ does not become i.
func lower(r rune) rune {
	if l := unicode.ToLower(r); unicode.ToUpper(l) == r {
		return l
	}
	return r
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// domain returns the canonical form of a domain: in lower case, and an internationalised one as
// the DNS has it (xn--…; Unicode Technical Standard 46, in the look-up form of RFC 5891).
func domain(s string) (string, error) {
	if isASCII(s) {
		return strings.ToLower(s), nil
	}
	return idn.ToASCII(s)
}

var idn = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false))

// Spellings returns the addresses, which are canonical, and for each internationalised domain
// also the other spelling: some services compare letter by letter.
func Spellings(emails []string) []string {
	all := slices.Clone(emails)
	for _, e := range emails {
		local, host, _ := strings.Cut(e, "@")
		if d, err := idn.ToUnicode(host); err == nil && d != host {
			all = append(all, local+"@"+d)
		}
	}
	return all
}
