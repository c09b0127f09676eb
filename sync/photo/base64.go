package photo

import (
	"bytes"
	"encoding/base64"
	"errors"
)

// unwrap returns the picture that data, which is none, holds in base64, or what
// speaks against that one. The error is notOne when data is no such thing.
func unwrap(data []byte, notOne error) (picture []byte, format string, err error) {
	picture = unbase64(data)
	format, err = sniff(picture)
	var e *Error
	if errors.As(err, &e) && (e.Code == Empty || e.Code == NotAnImage) {
		err = notOne
	}
	return picture, format, err
}

// unbase64 decodes base64 as it is found in directories and exports that were
// filled through a web form or a text file: with line breaks or not, in either
// alphabet, perhaps as a data URL. It returns nothing when data is not that.
func unbase64(data []byte) []byte {
	text := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))) // editors' byte order mark
	if bytes.HasPrefix(text, []byte("data:image/")) {
		_, text, _ = bytes.Cut(text, []byte(";base64,"))
	}
	if !sextets(text) { // before working on megabytes of something else
		return nil
	}
	text = bytes.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\r', '\n', '=':
			return -1
		case '-':
			return '+'
		case '_':
			return '/'
		}
		return r
	}, text)
	picture := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	// A text that was cut short still shows what it was: the container's check
	// will say that its end is missing.
	n, _ := base64.RawStdEncoding.Decode(picture, text)
	return picture[:n]
}

// sextets reports whether text begins like a base64 text: long enough for a
// picture's first bytes, and nothing in it that base64 has not.
func sextets(text []byte) bool {
	const enough = 24
	if len(text) < enough {
		return false
	}
	for _, c := range text[:enough] {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '+', c == '/', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
