package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"photosync/sync/foreign"
)

// columns of the CSV, in their order. New ones are only ever added at the end.
var columns = []string{
	"email", "user_id", "source", "ref", "reason", "outcome", "code", "http_status", "error_code", "ref_id", "message", "hint",
	"attempts", "duration_ms", "image_id", "format", "width", "height", "bytes",
	"source_format", "source_width", "source_height", "source_bytes", "changes", "source_sha256", "upload_sha256",
	"earlier_ref_ids", "candidates", "verified",
}

// encodeCSV writes the items as RFC 4180 has it, in UTF-8: a header, and a line for
// each person.
func encodeCSV(w io.Writer, r *Report) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if err := c.Write(columns); err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	for _, it := range r.Items {
		row := it.row()
		for i, field := range row {
			row[i] = foreign.Cell(field)
		}
		if err := c.Write(row); err != nil {
			return fmt.Errorf("encode report: %w", err)
		}
	}
	c.Flush()
	return c.Error()
}

func (it Item) row() []string {
	var refIDs []string
	for _, e := range it.EarlierErrors {
		refIDs = append(refIDs, e.RefID)
	}
	verified := ""
	switch {
	case it.Verified:
		verified = "yes"
	case it.Unverified:
		verified = "no"
	}
	img := Image{}
	if it.Image != nil {
		img = *it.Image
	}
	return []string{
		it.Email, number(it.UserID), it.Source, it.Ref, string(it.Reason), string(it.Outcome), it.Code, number(it.HTTPStatus), number(value(it.ErrorCode)),
		value(it.RefID), it.Message, it.Hint, strconv.Itoa(it.Attempts), strconv.FormatInt(it.DurationMS, 10), it.ImageID,
		img.Format, number(img.Width), number(img.Height), number(img.Bytes),
		img.SourceFormat, number(img.SourceWidth), number(img.SourceHeight), number(img.SourceBytes),
		strings.Join(img.Changes, "; "), img.SourceSHA256, img.UploadSHA256,
		strings.Join(refIDs, " "), strings.Join(it.Candidates, "; "), verified,
	}
}

// number is n as text; empty for 0, which stands for unknown.
func number[N int | int64](n N) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(n), 10)
}

// value is what p points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
