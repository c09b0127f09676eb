package report

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"photosync/sync/foreign"
)

func TestCSV(t *testing.T) {
	r := sample(0)
	code, refID := 4004, "k3x9"
	r.Add(Item{
		Email: "Łukasz,\"Żak\"@example.com", UserID: 48569348493401200, Source: "ad", Ref: "CN=Ann", Reason: "new", Outcome: "failed",
		HTTPStatus: 500, ErrorCode: &code, RefID: &refID, Message: "=HYPERLINK(\"http://evil\")", Attempts: 2,
		EarlierErrors: []AttemptError{{RefID: "r1"}, {RefID: "r2"}}, Candidates: []string{"hr: a.jpg", "ad: b"},
		Image: &Image{Format: "jpeg", Width: 96, Height: 64, Bytes: 4021, Changes: []string{"scaled", "metadata removed"}},
	})
	var b bytes.Buffer
	if err := r.Encode(&b, "csv"); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\r\n"); n != 2 || strings.Count(b.String(), "\n") != 2 {
		t.Errorf("%d lines end with CR LF, want 2:\n%q", n, b.String())
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for name, want := range map[string]string{
		"email": "Łukasz,\"Żak\"@example.com", "user_id": "48569348493401200", "error_code": "4004", "ref_id": "k3x9",
		"message": "'=HYPERLINK(\"http://evil\")", "earlier_ref_ids": "r1 r2", "candidates": "hr: a.jpg; ad: b",
		"changes": "scaled; metadata removed", "width": "96", "source_width": "",
	} {
		if got := rows[1][slices.Index(rows[0], name)]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// Scripts read the columns by their place, too.
func TestColumnsStayInPlace(t *testing.T) {
	const want = "email,user_id,source,ref,reason,outcome,code,http_status,error_code,ref_id,message,hint,attempts,duration_ms,image_id," +
		"format,width,height,bytes,source_format,source_width,source_height,source_bytes,changes,source_sha256,upload_sha256,earlier_ref_ids,candidates,verified"
	if got := strings.Join(columns, ","); got != want {
		t.Errorf("columns\n%s, want\n%s", got, want)
	}
}

// No text from outside becomes a formula, and none is lost.
func TestCSVHoldsNoFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[-=+@\t\r\n][a-zA-Z0-9"(),|!]*`)).Draw(t, "text")
		r := &Report{Items: []Item{{Email: text, Ref: text, Message: text, Hint: text, ImageID: text, RefID: &text, Candidates: []string{text}}}}
		var b bytes.Buffer
		if err := r.Encode(&b, "csv"); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for i, f := range rows[1] {
			if f != "" && strings.ContainsRune("=+-@\t\r\n", rune(f[0])) {
				t.Errorf("%s begins like a formula: %q", columns[i], f)
			}
		}
		same := strings.NewReplacer("\r", "", "'", "").Replace // encoding/csv leaves \r to the ends of lines
		if got, want := rows[1][0], foreign.Text(text); same(got) != same(want) {
			t.Errorf("%q became %q", text, got)
		}
	})
}
