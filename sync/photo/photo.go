// Package photo turns the bytes from a source into a picture that Smartsheet accepts, or says
// why it cannot: bytes in, Picture or *Error out. It uses no file, no network and no clock,
// and the same bytes with the same Options give the same picture.
//
// The steps, each of which bounds the next:
//
//	sniff   which format do the first bytes show, whatever the file's name (sniff.go)
//	read    is the container whole, and how many pixels does it claim (layout.go; a file for each format)
//	count   of a JPEG: is every block of pixels there (jpegscan.go)
//	decode  the pixels, but only to check or change them (layout.go)
//	render  turn, crop, scale, convert the colours, encode (render.go, color.go)
//
// Bytes that need no change stay as they are.
package photo

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
)

// version is the version of the code that makes pictures. Raise it when the same bytes with
// the same Options give another picture, or when a picture that was refused is accepted:
// everybody's photo is then prepared again.
const version = 3

// Options say what a picture may be like, and how to make it so.
type Options struct {
	// MaxEdge is the most pixels that either side may have; 0 means any number.
	MaxEdge int
	// MaxBytes is the most bytes that the finished picture may have; 0 means any number.
	MaxBytes int64
	// MaxPixels is the most pixels that the photo may have; 0 means 50 million. Whatever it
	// is, a picture whose decoding takes more than 384 MB of memory is refused.
	MaxPixels int64
	// Crop makes a picture square: "center" keeps the middle, "top" the upper part of a
	// portrait, where the face is. "none" and "" leave it as it is.
	Crop string
	// StripMetadata removes what does not show in the picture: EXIF with its place and
	// thumbnail, XMP, IPTC, comments. The colour profile stays if the pixels do; a picture
	// that is encoded again is in sRGB and has no profile.
	StripMetadata bool
	// Quality is the quality of a JPEG that has to be encoded, 1 to 100; 0 means 90.
	Quality int
	// Background is the colour behind a transparent picture that becomes a JPEG, "#rrggbb"; "" means white.
	Background string

	thumbnail bool // the result is always a JPEG
}

// minEdge is the smallest that either side is scaled to: no face can be recognised in less.
const minEdge = 16

const defaultQuality = 90

// withDefaults returns o with its defaults filled in.
func (o Options) withDefaults() Options {
	o.MaxPixels = cmp.Or(o.MaxPixels, 50_000_000)
	o.Crop = cmp.Or(o.Crop, "none")
	o.Quality = cmp.Or(o.Quality, defaultQuality)
	o.Background = strings.ToLower(cmp.Or(o.Background, "#ffffff"))
	return o
}

// Fingerprint returns a short digest, in hex, that changes when o or this code changes in a way
// that may give another picture from the same bytes.
func (o Options) Fingerprint() string {
	o = o.withDefaults()
	sum := sha256.Sum256(fmt.Appendf(nil, "v%d edge=%d bytes=%d pixels=%d crop=%s strip=%t quality=%d background=%s",
		version, o.MaxEdge, o.MaxBytes, o.MaxPixels, o.Crop, o.StripMetadata, o.Quality, o.Background))
	return hex.EncodeToString(sum[:8])
}

// Picture is a picture ready for upload.
type Picture struct {
	Data          []byte // the source's bytes themselves, if there are no Changes
	Format        string // "jpeg", "png" or "gif"
	Width, Height int    // pixels

	SourceWidth, SourceHeight int // as stored, before it was turned upright
	SourceFormat              string
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
		// Every decoder has panicked on some input before. No panic may end the run for everybody else.
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
	copies := int64(1) // of the result in memory: scaled, perhaps turned, perhaps with a background
	if l.turn != 1 {
		copies++
	}
	if l.format != formatJPEG { // it may be transparent
		copies++
	}
	clean := l.data
	if o.StripMetadata || o.over(len(clean)) { // without metadata the picture may fit
		clean = l.stripped()
	}
	if l.uploadable() && s.changes == nil && !o.over(len(clean)) && !o.thumbnail {
		p, err = l.asStored(ctx, clean)
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

// asStored returns the picture as it is stored, if its pixels are sound. clean are its bytes, with or without metadata.
func (l *layout) asStored(ctx context.Context, clean []byte) (p Picture, err error) {
	p = Picture{Data: clean, Format: l.format, Width: l.width, Height: l.height}
	if len(clean) < len(l.data) {
		p.Changes = []string{"metadata removed"}
	}
	if l.format == formatJPEG {
		return p, l.countBlocks()
	}
	l.unsupported = "" // the pixels are only checked
	return p, l.decoded(ctx, func(image.Image) error { return nil })
}

// Thumbnail returns a JPEG of a picture that fits a square of edge pixels: scaled down, never up,
// on white if it is transparent, and without metadata. It is for reports, not for upload.
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
	UnsupportedFormat = "unsupported_format" // a picture of a kind that cannot be used
	TooManyPixels     = "too_many_pixels"    // more than Options.MaxPixels
	TooLarge          = "too_large"          // more than Options.MaxBytes, even when scaled down
	NotAnImage        = "not_an_image"       // not a picture
)

// Error says why a picture is refused. The same bytes with the same Options are refused again.
type Error struct {
	Code   string // one of the constants
	Detail string // what was found, for a person: `JPEG ends before its end-of-image marker`
	advice string // instead of the general hint of the code
}

func (e *Error) Error() string { return e.Code + ": " + e.Detail }

func (e *Error) Hint() string { return cmp.Or(e.advice, hints[e.Code]) }

var hints = map[string]string{
	Empty:             "save the photo again at the source: it has no content",
	Truncated:         "copy the photo again to the source: part of it is missing",
	UnsupportedFormat: "save the photo as an ordinary JPEG (RGB, 8 bits) or PNG at the source",
	TooManyPixels:     "scale the photo down at the source, or raise image.max_pixels",
	TooLarge:          "save the photo smaller at the source, or raise image.max_bytes",
	NotAnImage:        "replace it with a JPEG or PNG photo at the source",
}

// refuse makes an *Error. It returns it as error, so that a nil *Error is never taken for a failure.
func refuse(code, format string, args ...any) error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// damaged refuses a picture that is broken. Its code is that of a picture cut short: the remedy is
// nearly the same, and scripts know the codes.
func damaged(format string, args ...any) error {
	return &Error{Code: Truncated, Detail: fmt.Sprintf(format, args...), advice: "save the photo again at the source: it is damaged"}
}

// undecodable refuses a sound picture of a kind that only other programs can read.
func undecodable(format string, args ...any) error {
	const advice = "save the photo again as an ordinary JPEG (RGB, 8 bits, baseline, sampled 4:2:0 or 4:4:4): it is whole, but photosync cannot scale or convert its kind"
	return &Error{Code: UnsupportedFormat, Detail: fmt.Sprintf(format, args...), advice: advice}
}
