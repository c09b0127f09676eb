// Package photo turns the bytes a source holds into a picture that Smartsheet takes, or
// says why it cannot: bytes in, Picture or *Error out. It touches no file, no network and
// no clock, and the same bytes with the same Options give the same picture.
//
// The steps, each of which bounds the next:
//
//	sniff   what do the first bytes say it is, whatever its name (sniff.go)
//	read    is its container whole, and how many pixels does it claim (layout.go; a file a format)
//	count   of a JPEG: is every block of pixels there (jpegscan.go)
//	decode  the pixels, only where they have to be checked or changed (layout.go)
//	render  turn, crop, scale, convert the colours, encode (render.go, color.go)
//
// Bytes that need no change are passed on as they are.
package photo

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
)

// version is the version of the code that makes pictures. Raise it when the same bytes
// with the same Options would give another picture, or when a picture that was refused
// would pass: people's photos are then prepared again.
const version = 3

// Options say what a picture may be like, and what is done to make it so.
type Options struct {
	// MaxEdge is the most pixels that either side may have; 0 means any number.
	MaxEdge int
	// MaxBytes is the most bytes that the finished picture may have; 0 means any number.
	MaxBytes int64
	// MaxPixels is the most pixels of a picture that is not refused at once; 0 means
	// 50 million. Whatever it is, none is decoded that takes more than 384 MB of memory.
	MaxPixels int64
	// Crop makes a picture square: "center" keeps the middle, "top" the upper part of a
	// portrait, where the face is. "none" and "" leave it as it is.
	Crop string
	// StripMetadata removes what does not show in the picture: EXIF with its place and
	// thumbnail, XMP, IPTC, comments. The colour profile stays where the pixels do; a
	// picture encoded again is in sRGB and has none.
	StripMetadata bool
	// Quality is that of a JPEG that has to be encoded, 1 to 100; 0 means 90.
	Quality int
	// Background is the colour behind a transparent picture that becomes a JPEG, "#rrggbb";
	// "" means white.
	Background string

	thumbnail bool // whatever the picture is, it becomes a JPEG
}

// minEdge is the least that either side may be scaled to: nobody is recognised in less.
const minEdge = 16

const defaultQuality = 90

// withDefaults returns o with every zero that means something else replaced.
func (o Options) withDefaults() Options {
	o.MaxPixels = cmp.Or(o.MaxPixels, 50_000_000)
	o.Crop = cmp.Or(o.Crop, "none")
	o.Quality = cmp.Or(o.Quality, defaultQuality)
	o.Background = strings.ToLower(cmp.Or(o.Background, "#ffffff"))
	return o
}

// Fingerprint returns a short text that changes when o or this code changes in a way that
// may give another picture from the same bytes.
func (o Options) Fingerprint() string {
	o = o.withDefaults()
	return fmt.Sprintf("v%d edge=%d bytes=%d pixels=%d crop=%s strip=%t quality=%d background=%s",
		version, o.MaxEdge, o.MaxBytes, o.MaxPixels, o.Crop, o.StripMetadata, o.Quality, o.Background)
}

// Picture is a picture ready for upload.
type Picture struct {
	Data          []byte // what was given itself, if there are no Changes
	Format        string // "jpeg", "png" or "gif"
	Width, Height int    // pixels

	SourceWidth, SourceHeight int    // as stored, before it was turned upright
	SourceFormat              string // what the source's bytes were
	// Changes says what was done, in order, for people; empty when the bytes are the source's own.
	Changes []string
}

// ContentType returns the media type for the upload.
func (p Picture) ContentType() string { return "image/" + p.Format }

// Ext returns the extension for a file name, with its dot.
func (p Picture) Ext() string { return "." + strings.Replace(p.Format, "jpeg", "jpg", 1) }

// Prepare makes the picture that is to be uploaded for data. Data is not changed, and Picture.Data
// may share its memory. The error is an *Error when the picture is refused, or that of ctx.
func Prepare(ctx context.Context, data []byte, o Options) (p Picture, err error) {
	defer func() {
		// Decoders are written for hostile input, yet each has had its panics; none may end
		// the run for everybody else.
		if v := recover(); v != nil {
			p, err = Picture{}, damaged("decoding it fails: %v", v)
		}
	}()
	if err := ctx.Err(); err != nil {
		return Picture{}, err
	}
	o = o.withDefaults()
	l, err := read(data)
	if err != nil {
		return Picture{}, err
	}
	if l.pixels() > o.MaxPixels {
		return Picture{}, refuse(TooManyPixels, "%d x %d pixels, at most %d are allowed", l.width, l.height, o.MaxPixels)
	}
	s := o.shape(l)
	copies := int64(1) // of the result: as it is scaled, turned, and with a colour behind it
	if l.turn != 1 {
		copies++
	}
	if l.format != formatJPEG { // it may be transparent
		copies++
	}
	clean := l.data
	if o.StripMetadata || o.over(len(clean)) { // without it the picture may fit
		clean = l.stripped()
	}
	if l.uploadable() && s.changes == nil && !o.over(len(clean)) && !o.thumbnail {
		p, err = l.pass(ctx, clean)
	} else {
		l.memory += copies * 4 * int64(s.size.X) * int64(s.size.Y)
		err = l.decoded(ctx, func(m image.Image) (err error) {
			p, err = o.render(ctx, l, m, s)
			return err
		})
	}
	if err != nil {
		return Picture{}, err
	}
	p.Changes = slices.Concat(l.repaired, p.Changes)
	p.SourceWidth, p.SourceHeight, p.SourceFormat = l.width, l.height, l.format
	return p, nil
}

// pass returns clean, the picture's bytes or those without its metadata, if the pixels in
// them are sound.
func (l *layout) pass(ctx context.Context, clean []byte) (p Picture, err error) {
	p = Picture{Data: clean, Format: l.format, Width: l.width, Height: l.height}
	if len(clean) < len(l.data) {
		p.Changes = []string{"metadata removed"}
	}
	if l.format == formatJPEG {
		return p, l.counted()
	}
	l.beyond = "" // whatever its colours mean
	return p, l.decoded(ctx, func(image.Image) error { return nil })
}

// Thumbnail returns a JPEG of a picture that fits a square of edge pixels: scaled down, never
// up, on white where it is transparent, and without metadata. It is for lists of many
// pictures, not for upload.
func Thumbnail(ctx context.Context, data []byte, edge int) ([]byte, error) {
	if edge < 1 {
		return nil, fmt.Errorf("make thumbnail: edge is %d pixels, want 1 or more", edge)
	}
	const quality = 75 // enough for a face an inch wide: about 3 kB at 96 pixels
	o := Options{MaxEdge: edge, MaxPixels: math.MaxInt64, StripMetadata: true, Quality: quality, thumbnail: true}
	small, err := Prepare(ctx, data, o)
	return small.Data, err
}

// Codes of an Error: stable identifiers, found in reports, logs and metrics.
const (
	Empty             = "empty"              // no bytes at all
	Truncated         = "truncated"          // cut short, or damaged: Hint says which
	UnsupportedFormat = "unsupported_format" // a picture, but not of a kind that can be used
	TooManyPixels     = "too_many_pixels"    // more than Options.MaxPixels
	TooLarge          = "too_large"          // more than Options.MaxBytes, whatever is tried
	NotAnImage        = "not_an_image"       // something else altogether
)

// Error says why a picture is refused. The same bytes with the same Options are refused again.
type Error struct {
	Code   string // one of the constants
	Detail string // what was found, for a person: `JPEG ends before its end-of-image marker`
	advice string // instead of the general hint of the code
}

func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// Hint returns one line on what to do about it.
func (e *Error) Hint() string { return cmp.Or(e.advice, hints[e.Code]) }

var hints = map[string]string{
	Empty:             "save the photo again at the source: it has no content",
	Truncated:         "copy the photo again to the source: part of it is missing",
	UnsupportedFormat: "save the photo as an ordinary JPEG (RGB, 8 bits) or PNG at the source",
	TooManyPixels:     "scale the photo down at the source, or raise image.max_pixels",
	TooLarge:          "save the photo smaller at the source, or raise image.max_bytes",
	NotAnImage:        "replace it with a JPEG or PNG photo at the source",
}

// refuse makes an *Error as a plain error, so that no nil *Error is ever mistaken for a failure.
func refuse(code, format string, args ...any) error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// damaged refuses a picture that is there, but broken. It has the code of one that was cut
// short: the remedy is nearly the same, and the codes are a contract.
func damaged(format string, args ...any) error {
	return &Error{Code: Truncated, Detail: fmt.Sprintf(format, args...), advice: "save the photo again at the source: it is damaged"}
}

// undecodable refuses a sound picture of a kind that others read.
func undecodable(format string, args ...any) error {
	const advice = "save the photo again as an ordinary JPEG (RGB, 8 bits, baseline, sampled 4:2:0 or 4:4:4): it is whole, but photosync cannot scale or convert its kind"
	return &Error{Code: UnsupportedFormat, Detail: fmt.Sprintf(format, args...), advice: advice}
}
