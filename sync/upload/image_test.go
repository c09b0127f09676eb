package upload

import (
	"bytes"
	"encoding/base64"
	"image/jpeg"
	"strings"
	"testing"

	"photosync/sync/photo"
)

func TestThumbnails(t *testing.T) {
	pic, err := photo.Initials("Ann Lee", "ann@example.com", 400)
	if err != nil {
		t.Fatal(err)
	}
	if got := (&Pool{}).thumbnail(pic); got != "" {
		t.Errorf("a thumbnail that nobody wanted: %.40s", got)
	}
	p := &Pool{Thumbnails: true}
	data, isJPEG := strings.CutPrefix(p.thumbnail(pic), "data:image/jpeg;base64,")
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil || !isJPEG {
		t.Fatalf("%.40q, %v", data, err)
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(raw))
	if err != nil || c.Width != 96 || c.Height != 96 || len(raw) > 8000 {
		t.Errorf("%dx%d in %d bytes, %v", c.Width, c.Height, len(raw), err)
	}
	if got := p.thumbnail(photo.Picture{Data: []byte("no picture")}); got != "" {
		t.Errorf("a thumbnail of no picture: %.40s", got)
	}
	p.thumbs.Store(maxThumbnails)
	if got := p.thumbnail(pic); got != "" {
		t.Error("more thumbnails than a report may have")
	}
}
