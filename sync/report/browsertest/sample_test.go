package browsertest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"time"
)

// hostile is an address that is a script where it is not taken for text.
const hostile = "<img src=x onerror=alert(1)>@x"

// refID is one of the refIds in a sample with people.
const refID = "k3x9"

// sample is the report of a run with n people in it, about one in ten of whom needs
// attention.
func sample(n int) map[string]any {
	begin := time.Date(2026, 11, 25, 2, 15, 3, 0, time.UTC)
	items := make([]map[string]any, n)
	uploaded, failed, skipped := 0, 0, 0
	for i := range items {
		it := map[string]any{
			"email": fmt.Sprintf("person%05d@example.com", i), "user_id": 48569348493401200, "source": "ad", "ref": fmt.Sprintf("CN=Person %d,OU=People,DC=example,DC=com", i),
			"reason": "changed", "outcome": "uploaded", "attempts": 1, "http_status": 200, "message": "SUCCESS", "failed_items": []any{},
			"image": map[string]any{
				"format": "jpeg", "width": 788, "height": 1050, "bytes": 96_000, "source_format": "png", "source_width": 1200, "source_height": 1600,
				"source_bytes": 2_412_000, "changes": []string{"scaled to 788x1050", "encoded as JPEG of quality 90"}, "thumbnail": thumbnail(i),
			},
		}
		switch {
		case i == 0:
			it["email"] = hostile
			uploaded++
		case i%10 == 1:
			it["outcome"], it["http_status"], it["message"], it["error_code"], it["ref_id"] = "failed", 500, "An unexpected error has occurred", 4000+i%30/10, fmt.Sprintf("%s-%d", refID, i)
			it["hint"] = "call Smartsheet support with the refId if it does not go away"
			failed++
		case i%10 == 2:
			it["outcome"], it["reason"], it["message"] = "skipped", "no_photo", ""
			delete(it, "image")
			skipped++
		default:
			uploaded++
		}
		if img, ok := it["image"].(map[string]any); ok && i >= 1000 {
			delete(img, "thumbnail") // a report has no more
		}
		items[i] = it
	}
	var minutes []map[string]any
	for i := range min(n, 40) {
		minutes = append(minutes, map[string]any{"start": begin.Add(time.Duration(i) * time.Minute), "requests": 200 + i*37%100, "rate_limited": i % 20 / 19, "wait_ms": 900})
	}
	return map[string]any{
		"schema_version": 1, "run_id": "20261125T021503Z-abcdef", "version": "1.2.3", "mode": "sync", "result": "partial", "exit_code": 3,
		"started_at": begin, "finished_at": begin.Add(40 * time.Minute), "plan_id": "3f1c9a0b77de", "error": nil,
		"quota_per_minute": 300, "timeline": minutes,
		"sources": []map[string]any{
			{"name": "ad", "type": "ldap", "complete": true, "listed": n, "with_photo": n - skipped, "pages": n/500 + 1, "warnings": []string{"2 referrals were not followed"}},
			{"name": "hr", "type": "folder", "complete": false, "listed": 0, "with_photo": 0, "pages": 0, "warnings": []string{}},
		},
		"totals": map[string]any{"people": n + 1000, "uploaded": uploaded, "failed": failed, "skipped": skipped, "unchanged": 1000,
			"requests": 1234, "retries": 12, "rate_limited": 2, "bytes_uploaded": 12_345_678, "quota_wait_ms": 36_000},
		"skipped_by_reason": map[string]int{"no_photo": skipped}, "items": items,
	}
}

// thumbnail is a small picture, one of a few.
func thumbnail(i int) string {
	m := image.NewRGBA(image.Rect(0, 0, 72, 96))
	for y := range 96 {
		for x := range 72 {
			m.SetRGBA(x, y, color.RGBA{uint8(60 + i%7*25), uint8(90 + y), uint8(200 - x), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}
