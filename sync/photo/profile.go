package photo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// maxProfile is the longest colour profile that is written: what fits one JPEG
// segment. Displays' profiles have some hundred bytes to some thousand; what is
// longer describes printers.
const maxProfile = 0xffff - 2 - len(iccHeader) - 2

// colorProfile returns the ICC profile and the colour space it is for, "RGB "
// or "GRAY" (ICC.1, section 7.2), or nothing if there is none of use for a
// picture encoded anew.
func (l *layout) colorProfile() (profile []byte, space string) {
	p := l.profile
	if l.format == formatPNG && p != nil {
		p = inflateProfile(p)
	}
	const header = 128
	if len(p) < header || len(p) > maxProfile || string(p[36:40]) != "acsp" {
		return nil, ""
	}
	switch space = string(p[16:20]); space {
	case "RGB ", "GRAY":
		return p, space
	}
	return nil, "" // for print inks, which are no more
}

// inflateProfile returns the profile in the body of an iCCP chunk: a name, a
// zero, the method of compression (0: zlib), the compressed profile.
func inflateProfile(body []byte) []byte {
	_, rest, found := bytes.Cut(body, []byte{0})
	if !found || len(rest) < 1 || rest[0] != 0 {
		return nil
	}
	z, err := zlib.NewReader(bytes.NewReader(rest[1:]))
	if err != nil {
		return nil
	}
	p, err := io.ReadAll(io.LimitReader(z, int64(maxProfile)+1))
	if err != nil {
		return nil
	}
	return p
}

// jpegWithProfile puts a profile behind the start of a JPEG.
func jpegWithProfile(data, profile []byte) []byte {
	if profile == nil {
		return data
	}
	s := []byte{0xff, markAPP0 + 2}
	s = binary.BigEndian.AppendUint16(s, uint16(2+len(iccHeader)+2+len(profile)))
	s = append(s, iccHeader+"\x01\x01"...) // part 1 of 1
	return bytes.Join([][]byte{data[:2], s, profile, data[2:]}, nil)
}

// pngWithProfile puts a profile behind the header chunk of a PNG.
func pngWithProfile(data, profile []byte) []byte {
	if profile == nil {
		return data
	}
	var body bytes.Buffer
	body.WriteString("iCCPicc\x00\x00")
	z := zlib.NewWriter(&body)
	z.Write(profile) // to memory: cannot fail
	z.Close()
	c := binary.BigEndian.AppendUint32(nil, uint32(body.Len()-4))
	c = append(c, body.Bytes()...)
	c = binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE(body.Bytes()))
	const headerEnd = len(pngSignature) + 12 + 13
	return bytes.Join([][]byte{data[:headerEnd], c, data[headerEnd:]}, nil)
}
