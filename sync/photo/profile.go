package photo

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
)

// maxProfile is the longest colour profile that is looked at. Those of cameras and
// displays have some hundred bytes to some thousand, those with tables a megabyte.
const maxProfile = 2 << 20

// colorProfile returns the ICC profile and the colour space it is for, "RGB "
// or "GRAY" (ICC.1, section 7.2), or nothing if there is none of use for a
// picture encoded anew.
func (l *layout) colorProfile() (profile []byte, space string) {
	p := l.profile
	switch {
	case l.format == formatPNG && p != nil:
		p = inflateProfile(p)
	case l.format == formatJPEG:
		p = joinProfile(l.profileParts)
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

// hasProfile reports whether there is a colour profile that the pixels still need.
func (l *layout) hasProfile() bool {
	return (l.profile != nil || l.profileParts != nil) && l.inks != 4
}

// joinProfile returns the profile in the parts of a JPEG's, which are put in the
// order of their numbers. Each begins with its number and that of all.
func joinProfile(parts [][]byte) []byte {
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b []byte) int { return cmp.Compare(a[0], b[0]) })
	var profile []byte
	for _, p := range parts {
		profile = append(profile, p[2:]...)
	}
	return profile
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
	p, err := io.ReadAll(io.LimitReader(z, maxProfile+1))
	if err != nil {
		return nil
	}
	return p
}

// jpegWithProfile puts a profile behind the start of a JPEG, in as many segments as
// it needs.
func jpegWithProfile(data, profile []byte) []byte {
	if profile == nil {
		return data
	}
	const room = 0xffff - 2 - len(iccHeader) - 2
	out := bytes.Clone(data[:2])
	for i := range ceil(len(profile), room) {
		part := profile[i*room : min((i+1)*room, len(profile))]
		out = append(out, 0xff, markAPP0+2)
		out = binary.BigEndian.AppendUint16(out, uint16(2+len(iccHeader)+2+len(part)))
		out = append(out, iccHeader...)
		out = append(out, byte(i+1), byte(ceil(len(profile), room)))
		out = append(out, part...)
	}
	return append(out, data[2:]...)
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
