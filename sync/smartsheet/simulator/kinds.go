package simulator

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// kind is a way to go wrong. One with instead answers in place of the API. One with after
// gets the API's answer, and what it returns is sent. One with edit changes a good answer
// and goes together with all others: shapes that the reference, the SDKs and the OpenAPI
// document differ about, and answers that confirm nothing.
type kind struct {
	detail  *regexp.Regexp                                   // of what stands behind the colon of its text form; nil: nothing
	status  int                                              // HTTP, where none is given
	instead func(s *Server, f *Fault, w http.ResponseWriter) // under the lock
	after   func(w http.ResponseWriter, body []byte) []byte
	edit    func(answer map[string]any, f *Fault)
}

var kinds = map[string]kind{
	"status":      {detail: regexp.MustCompile(`^([2-5]\d\d)(?:/(\d{1,4}))?$`), status: http.StatusInternalServerError, instead: refusal},
	"maintenance": {status: http.StatusServiceUnavailable, instead: refusal},
	"html":        {detail: regexp.MustCompile(`^([2-5]\d\d)?()$`), status: http.StatusBadGateway, instead: gateway}, // a gateway's page
	"empty":       {detail: regexp.MustCompile(`^([2-5]\d\d)?()$`), status: http.StatusBadGateway, instead: gateway}, // and one without a body
	"partial":     {instead: partial},
	"reset":       {instead: func(*Server, *Fault, http.ResponseWriter) { panic(http.ErrAbortHandler) }},
	"hang":        {}, // never answer
	"slow":        {}, // answer after Delay, whatever else goes wrong

	"truncate": {after: func(w http.ResponseWriter, body []byte) []byte {
		w.Write(body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}},
	"lost":       {after: func(http.ResponseWriter, []byte) []byte { panic(http.ErrAbortHandler) }},
	"unreadable": {after: func(http.ResponseWriter, []byte) []byte { return []byte("<html><body>Thank you</body></html>") }},

	"says": {detail: regexp.MustCompile(`^([^/]*)/(\d{1,4})$`), edit: func(a map[string]any, f *Fault) {
		a["message"], a["resultCode"] = f.Message, f.Code
	}},
	"id-as-text":         ofUsers(func(u map[string]any) { u["id"] = str(u["id"]) }),
	"id-odd":             ofUsers(func(u map[string]any) { u["id"] = "x" + str(u["id"]) }),
	"name-as-object":     ofUsers(func(u map[string]any) { u["name"] = map[string]any{} }),
	"status-as-number":   ofUsers(func(u map[string]any) { u["status"] = 1 }),
	"status-lower-case":  ofUsers(func(u map[string]any) { u["status"] = strings.ToLower(str(u["status"])) }),
	"image-as-text":      ofUsers(func(u map[string]any) { u["profileImage"] = "x" }),
	"image-id-as-number": ofUsers(func(u map[string]any) { u["profileImage"] = map[string]any{"imageId": 5} }),
	"no-image-id":        ofUsers(func(u map[string]any) { u["profileImage"] = map[string]any{"formerImageId": "x"} }),
	"no-email":           ofUsers(func(u map[string]any) { delete(u, "email") }),
	"other-email":        ofUsers(func(u map[string]any) { u["email"] = "other." + str(u["email"]) }),
	"other-user":         ofUsers(func(u map[string]any) { u["id"] = json.Number("9" + str(u["id"])) }),
	"other-organisation": ofUsers(func(u map[string]any) { u["isInternal"] = false }),
	"alternates-as-object": ofUsers(func(u map[string]any) {
		if all, ok := u["alternateEmails"].([]any); ok && len(all) > 0 {
			u["alternateEmails"] = all[0]
		}
	}),
	"sizes-as-text": ofUsers(func(u map[string]any) {
		if p, ok := u["profileImage"].(map[string]any); ok {
			p["height"], p["width"] = str(p["height"]), str(p["width"])
		}
	}),
	"unstable-ids": ofUsers(func(u map[string]any) { // a picture has another image id each time it is shown
		if p, ok := u["profileImage"].(map[string]any); ok {
			p["imageId"] = str(p["imageId"]) + "-" + rand.Text()[:8]
		}
	}),
	"answer-in-result": {edit: func(a map[string]any, _ *Fault) { // of an upload: the older reference
		if a["resultCode"] == nil {
			return
		}
		all, _ := a["data"].([]any)
		if delete(a, "data"); len(all) > 0 {
			a["result"] = all[0]
		}
	}},
	"totals-unknown": {edit: func(a map[string]any, _ *Fault) {
		if a["totalCount"] != nil {
			a["totalPages"], a["totalCount"] = -1, -1
		}
	}},
	"no-account": {edit: func(a map[string]any, _ *Fault) { delete(a, "account") }},
	"no-user":    {edit: func(a map[string]any, _ *Fault) { a["data"] = []any{}; delete(a, "result") }},
	"no-code":    {edit: func(a map[string]any, _ *Fault) { delete(a, "resultCode") }},
	"short-list": {edit: func(a map[string]any, _ *Fault) { // names a total, and lists nobody behind the first page
		if str(a["pageNumber"]) != "1" {
			a["data"] = []any{}
		}
	}},
}

// ofUsers is a change of the users of an answer: a list, the result of an upload, or one
// user. It is of the user whom the fault names, or of all.
func ofUsers(change func(map[string]any)) kind {
	return kind{edit: func(a map[string]any, f *Fault) {
		all, _ := a["data"].([]any)
		for _, x := range append(all, a["result"], any(a)) {
			if u, ok := x.(map[string]any); ok && u["email"] != nil && (f.User == "" || strings.EqualFold(f.User, str(u["email"]))) {
				change(u)
			}
		}
	}}
}

// shapes are further ways in which errors are written.
var shapes = map[string]func(body map[string]any){
	"text":   func(b map[string]any) { b["errorCode"], b["refId"] = fmt.Sprint(b["errorCode"]), len(str(b["refId"])) },
	"object": func(b map[string]any) { b["detail"] = map[string]any{"index": 0} },
	"array":  func(b map[string]any) { b["detail"] = []any{map[string]any{"index": 0}, map[string]any{"index": 1}} },
	"null":   func(b map[string]any) { b["detail"], b["refId"] = nil, nil },
}

// refusal answers with an error as the API writes one.
func refusal(s *Server, f *Fault, w http.ResponseWriter) {
	f.retryAfter(w)
	body := s.failure(f.Code, f.Message)
	if shape := shapes[f.Shape]; shape != nil {
		shape(body)
	}
	answer(w, f.Status, body)
}

// gateway answers with a page, or with nothing.
func gateway(_ *Server, f *Fault, w http.ResponseWriter) {
	f.retryAfter(w)
	if f.Kind == "empty" {
		w.WriteHeader(f.Status)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(f.Status)
	title := strconv.Itoa(f.Status) + " " + http.StatusText(f.Status)
	io.WriteString(w, "<html><head><title>"+title+"</title></head><body><h1>"+title+"</h1></body></html>")
}

// partial answers that the request went through and the picture did not.
func partial(s *Server, f *Fault, w http.ResponseWriter) {
	item := map[string]any{"index": 0, "error": s.failure(cmp.Or(f.Code, 1074), f.Message)}
	if f.Shape == "null" {
		item["error"] = nil
	}
	answer(w, http.StatusOK, map[string]any{"message": "PARTIAL_SUCCESS", "resultCode": 3, "failedItems": []any{item}, "data": []any{}})
}

func (f *Fault) retryAfter(w http.ResponseWriter) {
	v := f.RetryAfter
	if seconds, ok := strings.CutPrefix(v, "date:"); ok {
		d, _ := time.ParseDuration(seconds + "s") // what is no number: now
		v = time.Now().Add(d).UTC().Format(http.TimeFormat)
	}
	if v != "" {
		w.Header().Set("Retry-After", v)
	}
}

// edited is an answer in JSON with the changes of some faults. Numbers stay as they are.
func edited(b []byte, by []*Fault) []byte {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var a map[string]any
	if d.Decode(&a) != nil {
		return b
	}
	for _, f := range by {
		kinds[f.Kind].edit(a, f)
	}
	out, err := json.Marshal(a)
	if err != nil {
		return b
	}
	return out
}

// str is the text of a JSON value: a text or a number.
func str(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}
