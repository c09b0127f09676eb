package photo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"runtime/debug"
	"slices"

	"golang.org/x/sync/semaphore"
)

// layout is what the container of a picture says before any pixel is decoded.
type layout struct {
	data          []byte
	format        string
	width, height int
	memory        int64       // bytes that decoding takes, approximately
	inks          int         // colour components: 1 grey, 3 colour, 4 print inks
	turn          orientation // how to turn the stored pixels upright; 0 until it is known
	frames        int         // of a GIF, and of an animated WebP or PNG
	at            image.Point // where the first frame of a WebP is
	unsupported   string      // what Go's decoder would get wrong; empty: nothing
	profile       []byte      // the ICC colour profile, as it is stored
	profileParts  [][]byte    // of a JPEG: the profile's parts, each after two bytes, its number and their count
	light         *light      // the colour space, if there is no ICC profile; nil: sRGB
	kept          [][]byte    // data of a JPEG, PNG or GIF without its metadata, in order
	dropped       bool        // there is metadata
	repaired      []string    // what was wrong with data, and was repaired

	progressive bool        // of a JPEG
	components  []component // of a JPEG
	hMax, vMax  int         // the largest of their sampling factors
	bmp         *bitmap
	tiff        *tiffFile
}

// keep adds b to the bytes that stay when metadata is stripped, if it shows in the picture.
func (l *layout) keep(b []byte, shows bool) {
	if shows {
		l.kept = append(l.kept, b)
	} else {
		l.dropped = true
	}
}

// repair records a fault of data that was repaired: each once, and ten at most.
func (l *layout) repair(what string) {
	if len(l.repaired) < 10 && !slices.Contains(l.repaired, what) {
		l.repaired = append(l.repaired, what)
	}
}

// orient reads the orientation from an EXIF block, or a TIFF. Of several the first one counts. If
// it cannot be read, the picture counts as upright, as in every viewer.
func (l *layout) orient(exif []byte) {
	if l.turn == 0 {
		l.turn = orientation(readDirectory(exif).number(tagOrientation, 1))
		if l.turn < 1 || l.turn > 8 {
			l.turn = 1
		}
	}
}

func (l *layout) pixels() int64 { return int64(l.width) * int64(l.height) }

// stripped returns the picture without its metadata: data itself if there is none, else a copy
// with the same compressed pixels.
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

// formats are the formats that can be read: how to check the container, and how to decode the
// pixels; of an animation, those of the first frame.
var formats = map[string]struct {
	read   func(*layout) error
	decode func(*layout) (image.Image, error)
}{
	formatJPEG: {(*layout).readJPEG, by(jpeg.Decode)}, formatPNG: {(*layout).readPNG, by(png.Decode)},
	formatGIF: {(*layout).readGIF, by(gif.Decode)}, formatWebP: {(*layout).readWebP, by(decodeWebP)},
	formatBMP: {(*layout).readBMP, (*layout).decodeBMP}, formatTIFF: {(*layout).readTIFF, (*layout).decodeTIFF},
}

func by(decode func(io.Reader) (image.Image, error)) func(*layout) (image.Image, error) {
	return func(l *layout) (image.Image, error) { return decode(bytes.NewReader(l.data)) }
}

// read finds out what data is, and checks its whole container. It repairs the faults that every
// viewer ignores; a repaired picture loses its metadata.
func read(data []byte) (*layout, error) {
	format, picture, err := sniff(data)
	if err != nil {
		return nil, err
	}
	l := &layout{data: picture, format: format}
	err = formats[format].read(l)
	if err == nil && (l.width <= 0 || l.height <= 0) {
		err = damaged("%s of %dx%d pixels", format, l.width, l.height)
	}
	if l.repaired != nil {
		l.data = bytes.Join(l.kept, nil)
		if l.dropped {
			l.repaired = append(l.repaired, "metadata removed")
		}
	}
	if &picture[0] != &data[0] {
		l.repaired = slices.Insert(l.repaired, 0, "unwrapped from base64")
	}
	l.turn = max(l.turn, 1)
	return l, err
}

// orientation says how to turn the stored pixels upright, as the tag of that name (Exif 2.3, table
// 4; TIFF 6.0, page 36): 1 not at all, 2 to 8 by mirroring and turning. From 5 on, width and height are exchanged.
type orientation int

// turned returns the size of the upright picture from that of the stored one, and vice versa.
func (o orientation) turned(size image.Point) image.Point {
	if o >= 5 {
		return image.Pt(size.Y, size.X)
	}
	return size
}

// stored returns where the pixel at x, y of the upright picture is stored, in w x h stored pixels.
func (o orientation) stored(x, y, w, h int) (int, int) {
	if o >= 5 {
		x, y = y, x
	}
	if o == 2 || o == 3 || o == 7 || o == 8 {
		x = w - 1 - x
	}
	if o == 3 || o == 4 || o == 6 || o == 7 {
		y = h - 1 - y
	}
	return x, y
}

// storedRect returns where the part r of the upright picture is stored.
func (o orientation) storedRect(r image.Rectangle, w, h int) image.Rectangle {
	x0, y0 := o.stored(r.Min.X, r.Min.Y, w, h)
	x1, y1 := o.stored(r.Max.X-1, r.Max.Y-1, w, h)
	return image.Rect(min(x0, x1), min(y0, y1), max(x0, x1)+1, max(y0, y1)+1)
}

func (o orientation) upright(m *image.RGBA) *image.RGBA {
	if o == 1 {
		return m
	}
	out := image.NewRGBA(image.Rectangle{Max: o.turned(m.Rect.Size())})
	w := out.Rect.Dx()
	for i := range len(out.Pix) / 4 {
		x, y := o.stored(i%w, i/w, m.Rect.Dx(), m.Rect.Dy())
		copy(out.Pix[4*i:4*i+4], m.Pix[m.PixOffset(x, y):])
	}
	return out
}

// Decoded pixels take ten to a hundred times as much memory as the bytes of a camera's photo.
const (
	maxMemory    = 384 << 20 // for one picture: enough for 50 million pixels of a camera's JPEG, progressive or not
	sharedMemory = 64 << 20  // for all workers together; a picture that needs more is decoded alone
	smallPicture = 4 << 20   // a picture that needs no more than this does not count
)

var decodeRoom = semaphore.NewWeighted(sharedMemory)

// decoded calls f with the pixels; of an animation, those of its first frame. The caller has
// checked how many they are. The error is an *Error or that of ctx.
func (l *layout) decoded(ctx context.Context, f func(image.Image) error) error {
	if l.pixels() > maxMemory || l.memory > maxMemory { // the first, in case the second overflowed
		detail := fmt.Sprintf("decoding %d x %d pixels of this %s takes %d MB of memory, at most %d are used",
			l.width, l.height, l.format, l.memory>>20, maxMemory>>20)
		return &Error{TooManyPixels, detail, "scale the photo down at the source"}
	}
	if err := l.countBlocks(); err != nil {
		return err
	}
	if need := min(l.memory, sharedMemory); need > smallPicture {
		if err := decodeRoom.Acquire(ctx, need); err != nil {
			return err
		}
		defer decodeRoom.Release(need)
	}
	if l.memory > sharedMemory {
		// The collector lets garbage grow to what was in use at its last run, which includes this
		// picture: free its memory before the next one comes.
		defer debug.FreeOSMemory()
	}
	m, err := l.decode()
	if err != nil {
		return l.decodeError(err)
	}
	return f(m)
}

func (l *layout) decode() (image.Image, error) {
	if l.unsupported != "" {
		return nil, undecodable("%s with %s", l.kind(), l.unsupported)
	}
	frame, err := formats[l.format].decode(l)
	screen := image.Rect(0, 0, l.width, l.height)
	if err != nil || frame.Bounds().Add(l.at) == screen {
		return frame, err
	}
	// The frame of a GIF or WebP may cover only a part of its screen.
	m := image.NewRGBA(screen)
	draw.Draw(m, frame.Bounds().Add(l.at), frame, frame.Bounds().Min, draw.Src)
	return m, nil
}

// decodeError makes an *Error of a decoder's error. A JPEG whose blocks have been counted is whole, even
// if the decoder cannot read it.
func (l *layout) decodeError(err error) error {
	var refused *Error
	var jpegKind jpeg.UnsupportedError
	var pngKind png.UnsupportedError
	switch {
	case errors.As(err, &refused):
		return err
	case errors.As(err, &pngKind):
		return refuse(UnsupportedFormat, "PNG of a kind that no standard knows: %v", err)
	case l.format == formatJPEG, errors.As(err, &jpegKind): // also in a TIFF
		return undecodable("%s of a rare kind: %v", l.kind(), err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return refuse(Truncated, "%s ends in the middle of its pixels", l.format)
	}
	return damaged("damaged %s: %v", l.format, err)
}
