package smartsheet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"photosync/sync/foreign"
)

// Error means that Smartsheet refused a call, or that the call got no answer.
type Error struct {
	Op      string // "set profile image of user 48569348493401200"
	Status  int    // HTTP; 0: there was no answer. 200: the body is an error, or unusable
	Code    int    // errorCode; 0: none given
	RefID   string // what Smartsheet support asks for
	Message string // the server's, shortened and without control characters
	Detail  string // the server's detail, as JSON; shortened
	Err     error  // why there was no answer, or why it is unusable

	advice      string // what to do, if the other fields do not say it: no other call can succeed either
	hopeless    bool   // not worth another attempt, whatever the other fields say
	unconfirmed bool   // an upload was answered, and the answer cannot be read
	foreign     bool   // the answer is not in Smartsheet's form: a gateway wrote it
}

func (e *Error) Error() string {
	var b strings.Builder
	add := func(given bool, format string, args ...any) {
		if given {
			fmt.Fprintf(&b, format, args...)
		}
	}
	add(true, "%s:", e.Op)
	add(e.Status != 0, " HTTP %d", e.Status)
	add(e.Code != 0, " errorCode %d", e.Code)
	add(e.Message != "", " %q", e.Message)
	add(e.Detail != "", " %s", e.Detail)
	add(e.Err != nil && e.Status != 0, ":")
	add(e.Err != nil, " %v", e.Err)
	add(e.RefID != "", " (refId %s)", e.RefID)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Final reports whether Smartsheet refused this picture. Refusals finds out if it refuses all of them.
func (e *Error) Final() bool { return e.ownCause().class == ThisPhoto }

func (e *Error) Hint() string {
	if hint := e.cause().hint; hint != "" || e.RefID == "" {
		return cmp.Or(hint, "retry by itself: the next run tries again")
	}
	return "call Smartsheet support with the refId if it does not go away"
}

// errorFrom reads a refusal: Smartsheet's JSON, or what a gateway wrote. As a gateway may repeat the
// request with its token, clean removes secrets.
func errorFrom(op string, status int, body []byte, clean func(string) string) *Error {
	e := cmp.Or(errorObject(parse(body), clean), &Error{foreign: status/100 != 2})
	e.Op, e.Status = op, status
	if e.foreign {
		e.Message = cmp.Or(clean(string(body)), http.StatusText(status))
	}
	return e
}

// errorObject reads an error in the API's form; nil if v is not an error. errorCode and refId may be
// numbers or texts, detail an object or an array.
func errorObject(v gjson.Result, clean func(string) string) *Error {
	e := &Error{RefID: clean(textOrNumber(v.Get("refId"))), Message: clean(text(v.Get("message")))}
	code, ok := integer(v.Get("errorCode"))
	if written := textOrNumber(v.Get("errorCode")); !ok && written != "" {
		e.Message = clean("errorCode " + written + ": " + e.Message)
	}
	if e.Code = int(code); *e == (Error{}) {
		return nil
	}
	if d := v.Get("detail"); d.Type != gjson.Null {
		e.Detail = clean(d.Raw)
	}
	return e
}

const maxMessage = 300 // runes to which an error message is shortened

func oneLine(text string) string { return foreign.Line(text, maxMessage) }

// parse reads an answer. If it is not JSON, the result has no fields. Fields are read one by one, so
// that a change of the others does not matter.
func parse(body []byte) gjson.Result {
	if !json.Valid(body) { // gjson's own check has no limit of depth
		return gjson.Result{}
	}
	return gjson.ParseBytes(body)
}

// text returns a copy of a string, so that the answer need not stay in memory; empty for other types.
func text(v gjson.Result) string {
	if v.Type != gjson.String {
		return ""
	}
	return strings.Clone(v.Str)
}

// textOrNumber reads a string, or a number as it is written.
func textOrNumber(v gjson.Result) string {
	if v.Type == gjson.Number {
		return strings.Clone(v.Raw)
	}
	return text(v)
}

// integer reads a 64-bit integer, written as a number or as text, without a conversion to a float.
func integer(v gjson.Result) (n int64, ok bool) {
	n, err := strconv.ParseInt(textOrNumber(v), 10, 64)
	return n, err == nil
}

// objects returns the objects in an array, or v itself if it is an object. It leaves out other values.
func objects(v gjson.Result) (all []gjson.Result) {
	if v.IsObject() {
		return []gjson.Result{v}
	}
	for _, x := range v.Array() {
		if x.IsObject() {
			all = append(all, x)
		}
	}
	return all
}

// userOf reads the fields of a user that are there.
func userOf(v gjson.Result) User {
	u := User{
		Email: textOrNumber(v.Get("email")), Name: text(v.Get("name")), Status: text(v.Get("status")),
		ImageID: textOrNumber(v.Get("profileImage.imageId")), External: v.Get("isInternal").Type == gjson.False,
	}
	u.ID, _ = integer(v.Get("id"))
	for _, a := range objects(v.Get("alternateEmails")) {
		if e := text(a.Get("email")); e != "" {
			u.AlternateEmails = append(u.AlternateEmails, AlternateEmail{e, a.Get("confirmed").Type == gjson.True})
		}
	}
	return u
}

// listed reads a user of a list. Without an id and an address the user is Unusable.
func listed(v gjson.Result) User {
	u := userOf(v)
	image := cmp.Or(v.Get("profileImage.imageId").Raw, v.Get("profileImage").Raw)
	if u.ImageID == "" && !slices.Contains([]string{"", "null", "{}", `""`}, image) { // of an unknown shape
		u.ImageID = oneLine(image)
	}
	id := v.Get("id")
	switch _, ok := integer(id); {
	case !v.IsObject():
		u.Unusable = "the entry is " + oneLine(v.Raw) + ", not a user"
	case !ok && id.Type != gjson.Null:
		u.Unusable = "user id " + oneLine(id.Raw) + " is not a whole number"
	case u.ID == 0:
		u.Unusable = "no user id"
	case !strings.Contains(u.Email, "@"):
		u.Unusable = "no email address"
	}
	return u
}
