package photo

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"runtime"
	"time"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/sync/semaphore"
)

// Decoded pixels are what takes memory: for a camera's photo ten to a hundred
// times what its bytes do.
const (
	// maxMemory is the most that one picture may take. It is enough for the 50
	// million pixels of a JPEG as cameras write it, progressive or not, and keeps
	// memory from being used up by a picture made for that.
	maxMemory = 384 << 20
	// sharedMemory is what all workers together may take at a time; a picture
	// that needs more has it for itself.
	sharedMemory = 64 << 20
	// smallPicture and what is below does not count.
	smallPicture = 4 << 20
)

// maxTime is the most that decoding a picture and making another of its pixels
// may take: some twenty times what the largest one takes that is allowed. What
// decoders do is bounded by the pixels already; this is for what nobody thought
// of. Waiting for memory does not count.
const maxTime = time.Minute

var decodeRoom = semaphore.NewWeighted(sharedMemory)

// decoded calls f with the pixels; of a GIF, those of its first frame. The
// caller has checked their number. The error is an *Error or that of ctx.
func (l *layout) decoded(ctx context.Context, f func(context.Context, image.Image) error) error {
	if l.pixels() > maxMemory || l.memory > maxMemory { // the first, in case the second overflowed
		return &Error{
			Code:   TooManyPixels,
			Detail: fmt.Sprintf("decoding %d x %d pixels of this %s takes %d MB of memory, at most %d are used", l.width, l.height, l.format, l.memory>>20, maxMemory>>20),
			advice: "scale the photo down at the source",
		}
	}
	if need := min(l.memory, sharedMemory); need > smallPicture {
		if err := decodeRoom.Acquire(ctx, need); err != nil {
			return err
		}
		defer decodeRoom.Release(need)
	}
	if l.memory > sharedMemory {
		// The collector lets garbage grow to what was alive at its last run,
		// which was this picture. Before the next one comes, it has to go.
		defer runtime.GC()
	}
	return l.guard(ctx, func(r *reader) error {
		m, err := l.decode(r)
		if err != nil {
			return err
		}
		return f(r.ctx, m)
	})
}

func (l *layout) decode(r *reader) (image.Image, error) {
	switch l.format {
	case formatJPEG:
		return jpeg.Decode(r)
	case formatPNG:
		return png.Decode(r)
	case formatGIF:
		m, err := gif.Decode(r)
		if err != nil {
			return nil, err
		}
		return l.onCanvas(m), nil
	case formatWebP:
		return decodeWebP(r)
	case formatBMP:
		return decodeBMP(r)
	default:
		return l.decodeTIFF(r)
	}
}

// decodeBMP takes a picture in which nothing shows for one without transparency, as
// browsers do: many programs write the fourth byte of a pixel and leave it zero.
func decodeBMP(r io.Reader) (image.Image, error) {
	m, err := bmp.Decode(r)
	n, ok := m.(*image.NRGBA)
	if err != nil || !ok {
		return m, err
	}
	for i := 3; i < len(n.Pix); i += 4 {
		if n.Pix[i] != 0 {
			return n, nil
		}
	}
	for i := 3; i < len(n.Pix); i += 4 {
		n.Pix[i] = 255
	}
	return n, nil
}

func (l *layout) decodeTIFF(r io.Reader) (image.Image, error) {
	m, err := tiff.Decode(r)
	if g, ok := m.(*image.Gray); ok && l.negative {
		for i, v := range g.Pix {
			g.Pix[i] = 255 - v
		}
	}
	return m, err
}

// onCanvas returns a frame in its place on the screen of its GIF, which it may
// cover in part only.
func (l *layout) onCanvas(frame image.Image) image.Image {
	screen := image.Rect(0, 0, l.width, l.height)
	if frame.Bounds() == screen {
		return frame
	}
	m := image.NewRGBA(screen)
	draw.Draw(m, frame.Bounds(), frame, frame.Bounds().Min, draw.Src)
	return m
}

// guard lets work read the picture for a while, and makes its error an *Error or
// that of ctx.
func (l *layout) guard(ctx context.Context, work func(*reader) error) error {
	bounded, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	err := work(&reader{ctx: bounded, data: l.data, fuel: 4*int64(len(l.data)) + 1<<20})
	var refused *Error
	switch {
	case err == nil, errors.As(err, &refused):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case bounded.Err() != nil:
		return refuse(TooSlow, "working on %d x %d pixels of this %s takes more than %v", l.width, l.height, l.format, maxTime)
	case unsupported(err):
		return refuse(UnsupportedFormat, "%v", err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return refuse(Truncated, "%s ends in the middle of its pixels", l.format)
	}
	return refuse(Truncated, "damaged %s: %v", l.format, err)
}

// unsupported reports whether a decoder met a kind of picture that it cannot
// read, as opposed to a damaged one.
func unsupported(err error) bool {
	var j jpeg.UnsupportedError
	var p png.UnsupportedError
	var t tiff.UnsupportedError
	return errors.As(err, &j) || errors.As(err, &p) || errors.As(err, &t) || errors.Is(err, bmp.ErrUnsupported)
}

// reader gives a picture's bytes to a decoder: little at a time, so that it
// ends soon after ctx is done, and not for ever, since a TIFF can be made to
// have the same bytes read again for each of its strips.
type reader struct {
	ctx  context.Context
	data []byte
	pos  int64
	fuel int64 // bytes that may still be read
}

var errFuel = errors.New("the same bytes are read again and again")

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadAt(p[:min(len(p), 4096)], r.pos)
	r.pos += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (r *reader) ReadAt(p []byte, at int64) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("stop decoding: %w", err)
	}
	if at < 0 || at >= int64(len(r.data)) {
		return 0, io.EOF
	}
	n := copy(p, r.data[at:])
	if r.fuel -= int64(n); r.fuel < 0 {
		return 0, errFuel
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
