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
	"time"

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
	if err := l.counted(); err != nil {
		return err
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
		defer debug.FreeOSMemory()
	}
	return l.guard(ctx, func(ctx context.Context, r io.Reader) error {
		m, err := l.decode(ctx, r)
		if err != nil {
			return err
		}
		return f(ctx, m)
	})
}

func (l *layout) decode(ctx context.Context, r io.Reader) (image.Image, error) {
	if l.beyond != "" {
		return nil, l.undecodable("%s with %s", l.kind(), l.beyond)
	}
	switch l.format {
	case formatJPEG:
		return jpeg.Decode(r)
	case formatPNG:
		return png.Decode(r)
	case formatGIF:
		m, err := gif.Decode(r)
		return l.onCanvas(m), err
	case formatWebP:
		m, err := decodeWebP(r)
		return l.onCanvas(m), err
	case formatBMP:
		return l.decodeBMP()
	default:
		return l.decodeTIFF(ctx)
	}
}

// onCanvas returns a frame in its place on the screen of its GIF or WebP, which it may
// cover in part only.
func (l *layout) onCanvas(frame image.Image) image.Image {
	screen := image.Rect(0, 0, l.width, l.height)
	if frame == nil || frame.Bounds().Add(l.at) == screen {
		return frame
	}
	m := image.NewRGBA(screen)
	draw.Draw(m, frame.Bounds().Add(l.at), frame, frame.Bounds().Min, draw.Src)
	return m
}

// guard lets work read the picture for a while, and makes its error an *Error or
// that of ctx.
func (l *layout) guard(ctx context.Context, work func(context.Context, io.Reader) error) error {
	bounded, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	err := work(bounded, &reader{bounded, bytes.NewReader(l.data)})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case bounded.Err() != nil:
		return refuse(TooSlow, "working on %d x %d pixels of this %s takes more than %v", l.width, l.height, l.format, maxTime)
	}
	return l.fault(err)
}

// fault makes the error of a decoder an *Error. A JPEG whose blocks have been counted is
// whole, whatever the decoder makes of it.
func (l *layout) fault(err error) error {
	var refused *Error
	var j jpeg.UnsupportedError
	switch {
	case errors.As(err, &refused):
		return err
	case l.format == formatJPEG && l.inks == 4 && !l.adobe:
		return l.undecodable("CMYK JPEG without the marker of Adobe that says which inks")
	case l.format == formatJPEG, errors.As(err, &j):
		return l.undecodable("%s of a rare kind: %v", l.kind(), err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return refuse(Truncated, "%s ends in the middle of its pixels", l.format)
	}
	return damaged("damaged %s: %v", l.format, err)
}

// undecodable refuses a sound picture of a kind that others read.
func (l *layout) undecodable(format string, args ...any) error {
	return &Error{
		Code: UnsupportedFormat, Detail: fmt.Sprintf(format, args...),
		advice: "save the photo again as an ordinary JPEG (RGB, 8 bits, baseline, sampled 4:2:0 or 4:4:4): it is whole, but photosync cannot scale or convert its kind",
	}
}

// reader gives a picture's bytes to a decoder little at a time, so that it ends soon
// after ctx is done.
type reader struct {
	ctx  context.Context
	data *bytes.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("stop decoding: %w", err)
	}
	return r.data.Read(p[:min(len(p), 4096)])
}
