package photo

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// The formats that are read. The first three are what Smartsheet takes; the
// others are converted.
const (
	formatJPEG = "jpeg"
	formatPNG  = "png"
	formatGIF  = "gif"
	formatWebP = "webp"
	formatBMP  = "bmp"
	formatTIFF = "tiff"
)

// magics are the first bytes by which the formats that are read are known.
var magics = []struct {
	format, magic string
}{
	{formatJPEG, "\xff\xd8\xff"},
	{formatPNG, pngSignature},
	{formatGIF, "GIF87a"},
	{formatGIF, "GIF89a"},
	{formatTIFF, "II*\x00"},
	{formatTIFF, "MM\x00*"},
}

// bmpHeaders are the lengths of the header that follows that of a BMP file.
var bmpHeaders = []uint32{12, 16, 40, 52, 56, 64, 108, 124}

// IsPicture reports whether data, or what it holds in base64, begins like a picture of
// a kind that Prepare reads.
func IsPicture(data []byte) bool {
	_, err := sniff(data)
	if err != nil {
		_, _, err = unwrap(data, err)
	}
	return err == nil
}

// sniff returns the format that the first bytes of data show, or says what
// data is instead.
func sniff(data []byte) (string, error) {
	if len(data) == 0 {
		return "", refuse(Empty, "0 bytes")
	}
	if k, found := unusable(data); found {
		return "", &Error{Code: UnsupportedFormat, Detail: k.name, advice: k.advice}
	}
	for _, m := range magics {
		if bytes.HasPrefix(data, []byte(m.magic)) {
			return m.format, nil
		}
	}
	switch {
	case len(data) >= 16 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return formatWebP, nil
	case len(data) >= 26 && string(data[:2]) == "BM" && slices.Contains(bmpHeaders, binary.LittleEndian.Uint32(data[14:])):
		return formatBMP, nil // two letters alone may begin a text
	}
	for _, m := range magics {
		if bytes.HasPrefix([]byte(m.magic), data) {
			return "", refuse(Truncated, "nothing but the first %d bytes of a %s", len(data), m.format)
		}
	}
	return "", recognise(data)
}

// recognise names what data is, although it is no picture.
func recognise(data []byte) error {
	for _, k := range others {
		if k.matches(data) {
			return &Error{Code: NotAnImage, Detail: k.name}
		}
	}
	switch {
	case len(bytes.Trim(data, "\x00")) == 0:
		return refuse(NotAnImage, "%d zero bytes", len(data))
	case utf8.Valid(data) && !bytes.ContainsRune(data, 0):
		return refuse(NotAnImage, "text")
	}
	return refuse(NotAnImage, "begins with % x", data[:min(len(data), 8)])
}

// unusable returns what kind of picture data is, if it is one that is known
// but not used.
func unusable(data []byte) (kind, bool) {
	for _, k := range pictures {
		if k.matches(data) {
			return k, true
		}
	}
	if bytes.HasPrefix(data, []byte("<?xml")) && bytes.Contains(data[:min(len(data), 1024)], []byte("<svg")) {
		return kind{name: "SVG"}, true
	}
	return kind{}, false
}

// kind is something that is recognised only to be named in a refusal.
type kind struct {
	name   string
	offset int
	magics []string
	advice string
}

func (k kind) matches(data []byte) bool {
	if len(data) < k.offset {
		return false
	}
	for _, m := range k.magics {
		if bytes.HasPrefix(data[k.offset:], []byte(m)) {
			return true
		}
	}
	return false
}

const heicAdvice = "export the photo as JPEG (on an iPhone: Settings > Camera > Formats > Most Compatible)"

// pictures are formats that Smartsheet does not take and that are not
// converted. The brands of HEIF are those of ISO/IEC 23008-12.
var pictures = []kind{
	{name: "HEIC", offset: 4, magics: []string{"ftypheic", "ftypheix", "ftypheim", "ftypheis", "ftyphevc", "ftyphevx", "ftypmif1", "ftypmsf1"}, advice: heicAdvice},
	{name: "AVIF", offset: 4, magics: []string{"ftypavif", "ftypavis"}},
	{name: "JPEG XL", magics: []string{"\xff\x0a", "\x00\x00\x00\x0cJXL \r\n\x87\n"}},
	{name: "JPEG 2000", magics: []string{"\x00\x00\x00\x0cjP  \r\n\x87\n", "\xff\x4f\xff\x51"}},
	{name: "camera raw", magics: []string{"II*\x00\x10\x00\x00\x00CR", "FUJIFILMCCD-RAW", "IIRO", "MMOR", "IIU\x00"}},
	{name: "Photoshop", magics: []string{"8BPS"}},
	{name: "BigTIFF", magics: []string{"II+\x00", "MM\x00+"}},
	{name: "SVG", magics: []string{"<svg"}},
	{name: "Targa", magics: []string{"\x00\x00\x02\x00\x00\x00", "\x00\x00\x0a\x00\x00\x00"}},
	{name: "Windows icon", magics: []string{"\x00\x00\x01\x00", "\x00\x00\x02\x00"}},
	{name: "PCX", magics: []string{"\x0a\x05\x01"}},
	{name: "portable pixmap", magics: []string{"P1\n", "P2\n", "P3\n", "P4\n", "P5\n", "P6\n"}},
}

// others are what else is found where a photo should be.
var others = []kind{
	{name: "PDF", magics: []string{"%PDF-"}},
	{name: "ZIP archive or Office document", magics: []string{"PK\x03\x04"}},
	{name: "Word document of old", magics: []string{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"}},
	{name: "HTML", magics: []string{"<!DOCTYPE html", "<!doctype html", "<html", "<HTML"}},
	{name: "XML", magics: []string{"<?xml"}},
	{name: "gzip", magics: []string{"\x1f\x8b"}},
	{name: "video", offset: 4, magics: []string{"ftyp", "moov"}},
	{name: "Windows program", magics: []string{"MZ"}},
	{name: "program", magics: []string{"\x7fELF"}},
}
