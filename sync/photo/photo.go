package photo

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"slices"
	"strings"
)

// version is the version of the code that makes pictures. Raise it when the
// same bytes with the same Options would give another picture, or when a
// picture that was refused would pass: people's photos are looked at again.
const version = 2

// Options say what a picture may be like, and what is done to make it so.
type Options struct {
	// MaxEdge is the most pixels that either side may have; 0 means any number.
	MaxEdge int
	// MaxBytes is the most bytes that the finished picture may have; 0 means
	// any number.
	MaxBytes int64
	// MaxPixels is the most pixels that a picture may have to be looked at at
	// all; 0 means 50 million. Whatever it is, no picture is decoded that takes
	// more than 384 MB of memory. A JPEG takes 1.5 to 3 bytes a pixel, five times
	// as many if it is progressive; a PNG 4, or 8 with 16 bits a sample, twice as
	// many if it is interlaced; a BMP and a TIFF 4, a WebP 8; and the result 4 to 12,
	// which counts where MaxEdge is 0.
	MaxPixels int64
	// Crop makes a picture square: "center" keeps the middle, "top" the upper
	// part of a portrait, where the face is. "none" and "" leave it as it is.
	Crop string
	// StripMetadata removes what does not show in the picture: EXIF with its
	// place and thumbnail, XMP, IPTC, comments. The colour profile stays where
	// the pixels do; a picture encoded again is in sRGB and has none.
	StripMetadata bool
	// Quality is that of a JPEG that has to be encoded, 1 to 100; 0 means 90.
	Quality int
	// Background is the colour behind a transparent picture that becomes a
	// JPEG, "#rrggbb"; "" means white.
	Background string
}

// minEdge is the least that either side may be scaled to: below nobody is recognised.
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

// Fingerprint returns a short text that changes when o or this code changes in
// a way that may give another picture from the same bytes.
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
	// Changes says what was done, in order, for people; empty when the bytes
	// are the source's own.
	Changes []string
}

// ContentType returns the media type for the upload.
func (p Picture) ContentType() string { return "image/" + p.Format }

// Ext returns the extension for a file name, with its dot.
func (p Picture) Ext() string {
	if p.Format == formatJPEG {
		return ".jpg"
	}
	return "." + p.Format
}

// Prepare makes the picture that is to be uploaded for data. Data is not
// changed, and Picture.Data may share its memory. The error is an *Error when
// the picture is refused, or that of ctx.
func Prepare(ctx context.Context, data []byte, o Options) (p Picture, err error) {
	defer rescue(&err)
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
	clean := l.data
	if o.StripMetadata || o.over(len(clean)) { // it also goes where that alone makes the picture fit
		clean = l.stripped()
	}
	if l.uploadable() && s.changes == nil && !o.over(len(clean)) {
		p, err = l.pass(ctx, clean)
	} else {
		l.memory += s.memory(l)
		err = l.decoded(ctx, func(ctx context.Context, m image.Image) (err error) {
			p, err = o.render(ctx, l, m, s)
			return err
		})
	}
	if err != nil {
		return Picture{}, err
	}
	p.Changes = slices.Concat(l.mended, p.Changes)
	if l.wrapped {
		p.Changes = slices.Insert(p.Changes, 0, "unwrapped from base64")
	}
	p.SourceWidth, p.SourceHeight, p.SourceFormat = l.width, l.height, l.format
	return p, nil
}

// rescue turns a panic into a refusal. Decoders are written for hostile input,
// yet each has had its panics; none may end the run for everybody else.
func rescue(err *error) {
	if v := recover(); v != nil {
		*err = damaged("decoding it fails: %v", v)
	}
}

// pass returns clean, the picture's bytes or those without its metadata, if the
// pixels in them are sound.
func (l *layout) pass(ctx context.Context, clean []byte) (Picture, error) {
	err := l.counted()
	if l.format != formatJPEG {
		l.beyond = "" // whatever its colours mean
		err = l.decoded(ctx, func(context.Context, image.Image) error { return nil })
	}
	p := Picture{Data: clean, Format: l.format, Width: l.width, Height: l.height}
	if len(clean) < len(l.data) {
		p.Changes = []string{"metadata removed"}
	}
	return p, err
}

// kind names what the picture is stored as, for people.
func (l *layout) kind() string {
	name := map[string]string{formatWebP: "WebP"}[l.format]
	name = cmp.Or(name, strings.ToUpper(l.format))
	if l.progressive {
		name = "progressive " + name
	}
	if l.inks == 4 {
		name = "CMYK " + name
	}
	return name
}

// uploadable reports whether Smartsheet takes the picture as it is. A JPEG with
// print inks is one by name, but hardly anything shows its colours right.
func (l *layout) uploadable() bool {
	return l.format == formatJPEG && l.inks != 4 || l.format == formatPNG || l.format == formatGIF
}
