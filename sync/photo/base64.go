package photo

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// unbase64 decodes base64 as it is found in directories and exports that were
// filled through a web form or a text file: with line breaks or not, in either
// alphabet, in quotes, with the escapes of JSON, perhaps as a data URL. It returns
// nothing when data is not that.
func unbase64(data []byte) []byte {
	const ends = " \t\r\n\"'`,;\xef\xbb\xbf" // and an editor's byte order mark
	text := bytes.Trim(data, ends)
	if bytes.HasPrefix(text, []byte("data:")) {
		_, text, _ = bytes.Cut(text, []byte(";base64,"))
	}
	const enough = 24 // letters, for a picture's first bytes
	// Before working on megabytes of something else, a look at the beginning.
	if head := letters(text[:min(len(text), 4*enough)]); len(head) < enough || bytes.ContainsFunc(head[:enough], notSextet) {
		return nil
	}
	text = letters(text)
	picture := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	// A text that was cut short still shows what it was: the container's check
	// will say that its end is missing.
	n, _ := base64.RawStdEncoding.Decode(picture, text)
	return picture[:n]
}

var escapes = strings.NewReplacer(`\r`, "", `\n`, "", `\/`, "/", " ", "", "\t", "", "\r", "", "\n", "", "=", "", "-", "+", "_", "/")

// letters returns the letters of a base64 text, in the usual alphabet.
func letters(text []byte) []byte { return []byte(escapes.Replace(string(text))) }

func notSextet(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/')
}
