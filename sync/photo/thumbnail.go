package photo

import (
	"context"
	"fmt"
	"image"
	"image/color"
)

// thumbnailQuality is enough for a face an inch wide: about 3 kB at 96 pixels.
const thumbnailQuality = 75

// Thumbnail returns a JPEG of p, made by Prepare or Initials, that fits a square
// of edge pixels: scaled down, never up, on white where p is transparent, and
// without metadata. It is for lists of many pictures, not for upload.
func Thumbnail(p Picture, edge int) (data []byte, err error) {
	defer rescue(&err)
	if edge < 1 {
		return nil, fmt.Errorf("make thumbnail: edge is %d pixels, want 1 or more", edge)
	}
	l, err := read(p.Data)
	if err != nil {
		return nil, err
	}
	// No time limit: p has been decoded before, or its blocks counted.
	err = l.decoded(context.Background(), func(_ context.Context, m image.Image) error {
		w, h := fit(m.Bounds().Size(), edge)
		small := scale(m, m.Bounds(), w, h)
		l.toSRGB().apply(small)
		data = encodeJPEG(flatten(small, color.RGBA{255, 255, 255, 255}), thumbnailQuality)
		return nil
	})
	return data, err
}
