package photo

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"io"
	"runtime/debug"

	"golang.org/x/sync/semaphore"
)

// Decoded pixels need the memory: those of a camera's photo ten to a hundred times as much as
// its bytes.
const (
	maxMemory    = 384 << 20 // for one picture: enough for 50 million pixels of a camera's JPEG, progressive or not
	sharedMemory = 64 << 20  // for all workers at a time; a picture that needs more has it for itself
	smallPicture = 4 << 20   // one that needs no more does not count
)

var decodeRoom = semaphore.NewWeighted(sharedMemory)

// decoded calls f with the pixels; of an animation, those of its first frame. The caller
// has checked their number. The error is an *Error or that of ctx.
func (l *layout) decoded(ctx context.Context, f func(image.Image) error) error {
	if l.pixels() > maxMemory || l.memory > maxMemory { // the first, in case the second overflowed
		detail := fmt.Sprintf("decoding %d x %d pixels of this %s takes %d MB of memory, at most %d are used",
			l.width, l.height, l.format, l.memory>>20, maxMemory>>20)
		return &Error{TooManyPixels, detail, "scale the photo down at the source"}
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
		// The collector lets garbage grow to what was alive at its last run, which was this
		// picture. Before the next one comes, it has to go.
		defer debug.FreeOSMemory()
	}
	m, err := l.decode()
	if err != nil {
		return l.fault(err)
	}
	return f(m)
}

func (l *layout) decode() (image.Image, error) {
	if l.beyond != "" {
		return nil, undecodable("%s with %s", l.kind(), l.beyond)
	}
	frame, err := formats[l.format].decode(l)
	screen := image.Rect(0, 0, l.width, l.height)
	if err != nil || frame.Bounds().Add(l.at) == screen {
		return frame, err
	}
	// The frame of a GIF or WebP may cover a part of its screen only.
	m := image.NewRGBA(screen)
	draw.Draw(m, frame.Bounds().Add(l.at), frame, frame.Bounds().Min, draw.Src)
	return m, nil
}

// fault makes the error of a decoder an *Error. A JPEG whose blocks have been counted is
// whole, whatever the decoder makes of it.
func (l *layout) fault(err error) error {
	var refused *Error
	var unsupported jpeg.UnsupportedError
	switch {
	case errors.As(err, &refused):
		return err
	case l.format == formatJPEG, errors.As(err, &unsupported):
		return undecodable("%s of a rare kind: %v", l.kind(), err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return refuse(Truncated, "%s ends in the middle of its pixels", l.format)
	}
	return damaged("damaged %s: %v", l.format, err)
}
