package photo

import "bytes"

// layout is what the container of a picture tells without decoding a pixel.
type layout struct {
	data          []byte
	format        string
	width, height int
	inks          int      // colour components of a JPEG: 1 grey, 3 colour, 4 print inks
	exif          []byte   // the EXIF block from its TIFF header on, if there is one
	profile       []byte   // the ICC colour profile, if there is one
	kept          [][]byte // data without its metadata, in order
}

// keep adds b to what stays when metadata is stripped, joining neighbours.
func (l *layout) keep(b []byte) {
	if len(b) == 0 {
		return
	}
	if n := len(l.kept) - 1; n >= 0 {
		last := l.kept[n]
		if c := cap(last) - len(last); c >= len(b) && &last[:cap(last)][len(last)] == &b[0] {
			l.kept[n] = last[:len(last)+len(b)]
			return
		}
	}
	l.kept = append(l.kept, b)
}

// stripped returns the picture without its metadata: the same slice if there
// is none, else a copy with the same compressed pixels.
func (l *layout) stripped() []byte {
	if len(l.kept) == 1 && len(l.kept[0]) == len(l.data) {
		return l.data
	}
	return bytes.Join(l.kept, nil)
}

// read finds out what data is and checks its container from end to end.
func read(data []byte) (*layout, error) {
	format, err := sniff(data)
	if err != nil {
		return nil, err
	}
	l := &layout{data: data, format: format}
	switch format {
	case formatJPEG:
		err = l.readJPEG()
	case formatPNG:
		err = l.readPNG()
	case formatGIF:
		err = l.readGIF()
	}
	if err != nil {
		return nil, err
	}
	if l.width <= 0 || l.height <= 0 {
		return nil, refuse(Truncated, "%s of %dx%d pixels", l.format, l.width, l.height)
	}
	return l, nil
}
