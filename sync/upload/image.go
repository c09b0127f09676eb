package upload

import (
	"context"
	"encoding/base64"

	"photosync/sync/photo"
	"photosync/sync/report"
)

const (
	thumbnailEdge = 96 // pixels
	// MaxThumbnails is how many small pictures a report has, at about 4 kB each, and
	// again as many of what Smartsheet shows now.
	MaxThumbnails = 1000
)

// Image is a picture as the report shows it: pic, made of a photo with the hash source
// and so many bytes.
func Image(pic photo.Picture, source string, bytes int, sum string) *report.Image {
	return &report.Image{
		Format: pic.Format, Width: pic.Width, Height: pic.Height, Bytes: len(pic.Data),
		SourceFormat: pic.SourceFormat, SourceWidth: pic.SourceWidth, SourceHeight: pic.SourceHeight, SourceBytes: bytes,
		SourceSHA256: source, UploadSHA256: sum, Changes: pic.Changes,
	}
}

// thumbnail is a small picture of pic for the report, as a data: URI; empty when
// none is wanted, there are enough, or this one cannot be made: nothing depends
// on it.
func (p *Pool) thumbnail(pic photo.Picture) string {
	if !p.Thumbnails || p.thumbs.Add(1) > MaxThumbnails {
		return ""
	}
	return thumbnail(pic)
}

// Small is a small picture of any bytes, as a data: URI; empty if they are no picture.
func Small(ctx context.Context, data []byte) string {
	pic, err := photo.Prepare(ctx, data, photo.Options{MaxEdge: thumbnailEdge, StripMetadata: true})
	if err != nil {
		return ""
	}
	return thumbnail(pic)
}

func thumbnail(pic photo.Picture) string {
	small, err := photo.Thumbnail(pic, thumbnailEdge)
	if err != nil {
		return ""
	}
	return "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(small)
}
