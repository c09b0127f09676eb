package photo

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// The formats that can be read. Smartsheet accepts the first three; the others are converted.
const (
	formatJPEG = "jpeg"
	formatPNG  = "png"
	formatGIF  = "gif"
	formatWebP = "webp"
	formatBMP  = "bmp"
	formatTIFF = "tiff"
)

// kind is a kind of file that its first bytes show: a format that can be read, another kind of
// picture, or something else.
type kind struct {
	name   string   // of formats, if it can be read
	code   string   // if it cannot be read; "" is UnsupportedFormat
	offset int      // where the magics are
	magics []string // any of which shows the kind
	advice string
}

// kinds are tried in this order. The brands of HEIF are those of ISO/IEC 23008-12.
var kinds = []kind{
	{name: "camera raw", magics: []string{"II*\x00\x10\x00\x00\x00CR", "FUJIFILMCCD-RAW", "IIRO", "MMOR", "IIU\x00"}},
	{name: formatJPEG, magics: []string{"\xff\xd8\xff"}},
	{name: formatPNG, magics: []string{pngSignature}},
	{name: formatGIF, magics: []string{"GIF87a", "GIF89a"}},
	{name: formatTIFF, magics: []string{"II*\x00", "MM\x00*"}},
	{name: formatWebP, offset: 8, magics: []string{"WEBPVP8 ", "WEBPVP8L", "WEBPVP8X"}},
	{name: "HEIC", offset: 4, magics: []string{"ftypheic", "ftypheix", "ftypheim", "ftypheis", "ftyphevc", "ftyphevx", "ftypmif1", "ftypmsf1"},
		advice: "export the photo as JPEG (on an iPhone: Settings > Camera > Formats > Most Compatible)"},
	{name: "AVIF", offset: 4, magics: []string{"ftypavif", "ftypavis"}},
	{name: "JPEG XL", magics: []string{"\xff\x0a", "\x00\x00\x00\x0cJXL \r\n\x87\n"}},
	{name: "JPEG 2000", magics: []string{"\x00\x00\x00\x0cjP  \r\n\x87\n", "\xff\x4f\xff\x51"}},
	{name: "Photoshop", magics: []string{"8BPS"}},
	{name: "BigTIFF", magics: []string{"II+\x00", "MM\x00+"}},
	{name: "SVG", magics: []string{"<svg"}},
	{name: "Targa", magics: []string{"\x00\x00\x02\x00\x00\x00", "\x00\x00\x0a\x00\x00\x00"}},
	{name: "Windows icon", magics: []string{"\x00\x00\x01\x00", "\x00\x00\x02\x00"}},
	{name: "PDF", code: NotAnImage, magics: []string{"%PDF-"}},
	{name: "ZIP archive or Office document", code: NotAnImage, magics: []string{"PK\x03\x04"}},
	{name: "old Word document", code: NotAnImage, magics: []string{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"}},
	{name: "HTML", code: NotAnImage, magics: []string{"<!DOCTYPE html", "<!doctype html", "<html", "<HTML"}},
	{name: "XML", code: NotAnImage, magics: []string{"<?xml"}},
	{name: "gzip", code: NotAnImage, magics: []string{"\x1f\x8b"}},
	{name: "video", code: NotAnImage, offset: 4, magics: []string{"ftyp", "moov"}},
}

// bmpHeaders are the possible lengths of the header after the file header of a BMP.
var bmpHeaders = []uint32{12, 16, 40, 52, 56, 64, 108, 124}

// IsPicture reports whether data, or the base64 in it, begins like a picture that Prepare can read.
func IsPicture(data []byte) bool {
	_, _, err := sniff(data)
	return err == nil
}

// sniff returns the format that the first bytes show, and the picture: data itself, or the base64
// in it decoded. If data is no picture that can be read, the error says what it is.
func sniff(data []byte) (format string, picture []byte, err error) {
	if format, err = formatOf(data); err == nil {
		return format, data, nil
	}
	picture = unbase64(data)
	format, inner := formatOf(picture)
	if e, ok := errors.AsType[*Error](inner); ok && (e.Code == Empty || e.Code == NotAnImage) {
		return "", nil, err
	}
	return format, picture, inner
}

func formatOf(data []byte) (string, error) {
	if len(data) == 0 {
		return "", refuse(Empty, "0 bytes")
	}
	if bytes.HasPrefix(data, []byte("<?xml")) && bytes.Contains(data[:min(len(data), 1024)], []byte("<svg")) {
		return "", refuse(UnsupportedFormat, "SVG")
	}
	if len(data) >= 26 && string(data[:2]) == "BM" && slices.Contains(bmpHeaders, binary.LittleEndian.Uint32(data[14:])) {
		return formatBMP, nil // the two letters alone may begin a text
	}
	for _, k := range kinds {
		readable := formats[k.name].read != nil
		for _, m := range k.magics {
			begins := len(data) >= k.offset && bytes.HasPrefix(data[k.offset:], []byte(m))
			switch {
			case begins && readable:
				return k.name, nil
			case begins:
				return "", &Error{Code: cmp.Or(k.code, UnsupportedFormat), Detail: k.name, advice: k.advice}
			case readable && k.offset == 0 && bytes.HasPrefix([]byte(m), data):
				return "", refuse(Truncated, "nothing but the first %d bytes of a %s", len(data), k.name)
			}
		}
	}
	switch {
	case len(bytes.Trim(data, "\x00")) == 0:
		return "", refuse(NotAnImage, "%d zero bytes", len(data))
	case utf8.Valid(data) && !bytes.ContainsRune(data, 0):
		return "", refuse(NotAnImage, "text")
	}
	return "", refuse(NotAnImage, "begins with % x", data[:min(len(data), 8)])
}

// unbase64 decodes base64 in the forms that directories and exports hold if they were filled
// through a web form or a text file: with or without line breaks, in either alphabet, in quotes,
// with the escapes of JSON, perhaps as a data URL. It returns nil if data is something else, and
// as much as possible of a text that was cut short.
func unbase64(data []byte) []byte {
	const ends = " \t\r\n\"'`,;\xef\xbb\xbf" // and an editor's byte order mark
	text := bytes.Trim(data, ends)
	if bytes.HasPrefix(text, []byte("data:")) {
		_, text, _ = bytes.Cut(text, []byte(";base64,"))
	}
	decoded := func(text []byte) []byte {
		picture, _ := base64.RawStdEncoding.AppendDecode(nil, []byte(escapes.Replace(string(text))))
		return picture
	}
	// The beginning shows whether it is base64: do not decode megabytes of something else.
	if len(decoded(text[:min(len(text), 100)])) < 18 {
		return nil
	}
	return decoded(text)
}

var escapes = strings.NewReplacer(`\r`, "", `\n`, "", `\/`, "/", " ", "", "\t", "", "\r", "", "\n", "", "=", "", "-", "+", "_", "/")
