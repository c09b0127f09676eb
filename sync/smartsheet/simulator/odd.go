package simulator

import (
	"bytes"
	"encoding/json"
	"strings"
)

// oddities are kinds of faults that change a good answer: shapes that the reference, the
// SDKs and the OpenAPI document differ about, and answers that confirm nothing. Those
// about users change the one with the given email, or all if it is empty.
var oddities = map[string]func(answer map[string]any, email string){
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
	"answer-in-result": func(a map[string]any, _ string) { // of an upload: the older reference
		if a["resultCode"] == nil {
			return
		}
		all, _ := a["data"].([]any)
		if delete(a, "data"); len(all) > 0 {
			a["result"] = all[0]
		}
	},
	"totals-unknown": func(a map[string]any, _ string) {
		if a["totalCount"] != nil {
			a["totalPages"], a["totalCount"] = -1, -1
		}
	},
	"no-account": func(a map[string]any, _ string) { delete(a, "account") },
	"no-user":    func(a map[string]any, _ string) { a["data"] = []any{}; delete(a, "result") },
	"no-code":    func(a map[string]any, _ string) { delete(a, "resultCode") },
	"short-list": func(a map[string]any, _ string) { // names a total, and lists nobody behind the first page
		if str(a["pageNumber"]) != "1" {
			a["data"] = []any{}
		}
	},
}

// ofUsers lets change apply to the users of an answer: a list, the result of an upload,
// or one user.
func ofUsers(change func(map[string]any)) func(map[string]any, string) {
	return func(a map[string]any, email string) {
		all, _ := a["data"].([]any)
		for _, x := range append(all, a["result"], any(a)) {
			if u, ok := x.(map[string]any); ok && u["email"] != nil && (email == "" || strings.EqualFold(email, str(u["email"]))) {
				change(u)
			}
		}
	}
}

// edit changes an answer in JSON, and leaves its numbers as they are.
func edit(b []byte, change func(map[string]any)) []byte {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var a map[string]any
	if d.Decode(&a) != nil {
		return b
	}
	change(a)
	out, err := json.Marshal(a)
	if err != nil {
		return b
	}
	return out
}

// str is the text of a JSON value.
func str(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case json.Number:
		return x.String()
	}
	return ""
}

// refusalShapes are further ways in which errors are written.
var refusalShapes = map[string]func(body map[string]any){
	"text":   func(b map[string]any) { b["errorCode"], b["refId"] = jsonText(b["errorCode"]), len(str(b["refId"])) },
	"object": func(b map[string]any) { b["detail"] = map[string]any{"index": 0} },
	"array":  func(b map[string]any) { b["detail"] = []any{map[string]any{"index": 0}, map[string]any{"index": 1}} },
	"null":   func(b map[string]any) { b["detail"], b["refId"] = nil, nil },
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
