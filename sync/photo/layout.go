package photo

import (
	"bytes"
	"context"

	"golang.org/x/image/bmp"
)

// layout is what the container of a picture tells without decoding a pixel.
type layout struct {
	data          []byte
	wrapped       bool // data was in base64
	format        string
	width, height int
	memory        int64       // bytes that decoding takes, about
	inks          int         // colour components of a JPEG: 1 grey, 3 colour, 4 print inks
	progressive   bool        // of a JPEG
	frames        int         // of a GIF
	negative      bool        // of a TIFF: the decoder takes black for white
	turn          orientation // what brings the stored pixels upright
	profile       []byte      // the ICC colour profile as it is stored, if there is one
	profileParts  [][]byte    // in a JPEG: its parts, each behind a byte with its number
	kept          [][]byte    // data of a JPEG, PNG or GIF without its metadata, in order
	keptBytes     int
}

// keep adds b to what stays when metadata is stripped.
func (l *layout) keep(b []byte) {
	l.kept = append(l.kept, b)
	l.keptBytes += len(b)
}

// sequential reports whether the picture is a JPEG whose blocks each come at
// once, not by and by in several scans.
func (l *layout) sequential() bool { return l.format == formatJPEG && !l.progressive }

// pixels returns how many there are.
func (l *layout) pixels() int64 { return int64(l.width) * int64(l.height) }

// hasMetadata reports whether there is anything to strip.
func (l *layout) hasMetadata() bool { return l.kept != nil && l.keptBytes < len(l.data) }

// stripped returns the picture without its metadata: the same slice if there
// is none, else a copy with the same compressed pixels.
func (l *layout) stripped() []byte {
	if !l.hasMetadata() {
		return l.data
	}
	return bytes.Join(l.kept, nil)
}

// read finds out what data is and checks its container from end to end.
func read(ctx context.Context, data []byte) (*layout, error) {
	l := &layout{data: data, turn: 1}
	var err error
	if l.format, err = sniff(data); err != nil {
		if l.data, l.format, err = unwrap(data, err); err != nil {
			return nil, err
		}
		l.wrapped = true
	}
	switch l.format {
	case formatJPEG:
		err = l.readJPEG()
	case formatPNG:
		err = l.readPNG()
	case formatGIF:
		err = l.readGIF()
	case formatWebP:
		err = l.readWebP(ctx)
	case formatBMP:
		err = l.readBounds(ctx, 4, bmp.DecodeConfig)
	case formatTIFF:
		err = l.readTIFF(ctx)
	}
	if err == nil && (l.width <= 0 || l.height <= 0) {
		err = refuse(Truncated, "%s of %dx%d pixels", l.format, l.width, l.height)
	}
	return l, err
}
