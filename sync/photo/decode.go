package photo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
)

// decode returns the pixels; of a GIF, those of its first frame. The caller
// has checked their number. The error is an *Error or that of ctx.
func (l *layout) decode(ctx context.Context) (img image.Image, err error) {
	// Decoders are written for hostile input, yet each has had its panics. None
	// may end the run for everybody else.
	defer func() {
		if p := recover(); p != nil {
			img, err = nil, refuse(Truncated, "decoding this %s fails: %v", l.format, p)
		}
	}()
	r := &reader{ctx: ctx, Reader: bytes.NewReader(l.data)}
	switch l.format {
	case formatJPEG:
		img, err = jpeg.Decode(r)
	case formatPNG:
		img, err = png.Decode(r)
	case formatGIF:
		img, err = gif.Decode(r)
	default:
		panic("no decoder")
	}
	if err != nil {
		return nil, l.decodeError(ctx, err)
	}
	return img, nil
}

// decodeError turns what a decoder says into an *Error, unless ctx is done.
func (l *layout) decodeError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var jpegUnsupported jpeg.UnsupportedError
	var pngUnsupported png.UnsupportedError
	if errors.As(err, &jpegUnsupported) || errors.As(err, &pngUnsupported) {
		return refuse(UnsupportedFormat, "%v", err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return refuse(Truncated, "%s ends in the middle of its pixels", l.format)
	}
	return refuse(Truncated, "damaged %s: %v", l.format, err)
}

// reader ends a decoder's work soon after ctx is done: whatever a decoder does,
// it asks for more input every so many bytes.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("stop decoding: %w", err)
	}
	return r.Reader.Read(p[:min(len(p), 4096)])
}
