package photo

import (
	"cmp"
	"fmt"
)

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
