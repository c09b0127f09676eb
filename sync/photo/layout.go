package photo

import (
	"bytes"
	"image"
	"slices"
)

// layout is what the container of a picture says without decoding a pixel.
type layout struct {
	data          []byte
	format        string
	width, height int
	memory        int64       // bytes that decoding takes, about
	inks          int         // colour components: 1 grey, 3 colour, 4 print inks
	progressive   bool        // of a JPEG
	adobe         bool        // of a JPEG: Adobe's marker says what its colours are
	parts         []component // of a JPEG
	hMax, vMax    int         // the most of their sampling factors
	beyond        string      // what the decoder at hand reads wrong, if anything
	frames        int         // of a GIF, and of an animated WebP or PNG
	at            image.Point // where the first frame of a WebP is
	turn          orientation // what brings the stored pixels upright; 0 until it is known
	profile       []byte      // the ICC colour profile, as it is stored
	profileParts  [][]byte    // in a JPEG: its parts, each behind a byte with its number
	light         *light      // what the colours are, without an ICC profile; nil is sRGB
	kept          [][]byte    // data of a JPEG, PNG or GIF without its metadata, in order
	mended        []string    // what was wrong with data as it came, and is no more
	bmp           *bitmap
	tiff          *tiffFile
}

// keep adds b to what stays when metadata is stripped.
func (l *layout) keep(b []byte) { l.kept = append(l.kept, b) }

// mend notes what was wrong with data, once, and no more than a person reads.
func (l *layout) mend(what string) {
	if len(l.mended) < 10 && !slices.Contains(l.mended, what) {
		l.mended = append(l.mended, what)
	}
}

// orient takes the orientation from an EXIF block, or a TIFF. Of several the first counts;
// what cannot be read counts as upright, as it does for every viewer.
func (l *layout) orient(exif []byte) {
	if l.turn == 0 {
		l.turn = orientation(readDirectory(exif).number(tagOrientation, 1))
		if l.turn < 1 || l.turn > 8 {
			l.turn = 1
		}
	}
}

// pixels returns how many there are.
func (l *layout) pixels() int64 { return int64(l.width) * int64(l.height) }

// stripped returns the picture without its metadata: the same slice if there is none, else
// a copy with the same compressed pixels.
func (l *layout) stripped() []byte {
	n := 0
	for _, b := range l.kept {
		n += len(b)
	}
	if n == 0 || n == len(l.data) {
		return l.data
	}
	return bytes.Join(l.kept, nil)
}

var readers = map[string]func(*layout) error{
	formatJPEG: (*layout).readJPEG, formatPNG: (*layout).readPNG, formatGIF: (*layout).readGIF,
	formatWebP: (*layout).readWebP, formatBMP: (*layout).readBMP, formatTIFF: (*layout).readTIFF,
}

// read finds out what data is and checks its container from end to end. What every viewer
// passes over is mended, which takes the metadata with it.
func read(data []byte) (*layout, error) {
	format, picture, err := sniff(data)
	if err != nil {
		return nil, err
	}
	l := &layout{data: picture, format: format}
	err = readers[format](l)
	if err == nil && (l.width <= 0 || l.height <= 0) {
		err = damaged("%s of %dx%d pixels", format, l.width, l.height)
	}
	if l.mended != nil {
		l.data = bytes.Join(l.kept, nil)
	}
	if &picture[0] != &data[0] {
		l.mended = slices.Insert(l.mended, 0, "unwrapped from base64")
	}
	l.turn = max(l.turn, 1)
	return l, err
}
