package smartsheet

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"

	"photosync/sync/foreign"
)

// Error is a call that Smartsheet refused, or that did not get an answer.
type Error struct {
	Op      string // "set profile image of user 48569348493401200"
	Status  int    // HTTP; 0: there was no answer. 200: the answer is an error all the same, or of no use
	Code    int    // errorCode; 0: none given
	RefID   string // what Smartsheet support asks for
	Message string // the server's, shortened and without control characters
	Detail  string // the server's detail, as it is written; shortened
	Err     error  // why there was no answer, or why it is not usable

	advice      string // what to do, where that does not follow from the rest: no other call can succeed either
	hopeless    bool   // not worth another attempt, whatever the rest says
	unconfirmed bool   // an upload was answered, and the answer cannot be read
	foreign     bool   // the answer is not in Smartsheet's form: a gateway wrote it
}

func (e *Error) Error() string {
	text := e.Op + ":"
	if e.Status != 0 {
		text += fmt.Sprint(" HTTP ", e.Status)
	}
	if e.Code != 0 {
		text += fmt.Sprint(" errorCode ", e.Code)
	}
	if e.Message != "" {
		text += fmt.Sprintf(" %q", e.Message)
	}
	if e.Detail != "" {
		text += " " + e.Detail
	}
	switch {
	case e.Err != nil && e.Status != 0:
		text += ": " + e.Err.Error()
	case e.Err != nil:
		text += " " + e.Err.Error()
	}
	if e.RefID != "" {
		text += " (refId " + e.RefID + ")"
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Final reports whether the same picture would be refused again, if it is the picture
// that is refused: a gateway may refuse all of them, with the same words (see Refusals).
func (e *Error) Final() bool { return e.own().class == ThisPhoto }

// Hint says in one line what a human can do.
func (e *Error) Hint() string {
	if hint := e.cause().hint; hint != "" || e.RefID == "" {
		return cmp.Or(hint, "retry by itself: the next run tries again")
	}
	return "call Smartsheet support with the refId if it does not go away"
}

// errorFrom reads a refusal: Smartsheet's JSON, or whatever a gateway wrote. A
// gateway's page may repeat the request, and with it the token: clean takes it out.
func errorFrom(op string, status int, body []byte, clean func(string) string) *Error {
	if e := errorObject(op, status, body, clean); e != nil {
		return e
	}
	return &Error{Op: op, Status: status, Message: cmp.Or(clean(string(body)), http.StatusText(status)), foreign: true}
}

// errorObject reads an error as the API writes one; nil if body is none. errorCode and
// refId come as numbers and as texts, detail as an object or an array.
func errorObject(op string, status int, body []byte, clean func(string) string) *Error {
	v := parse(body)
	i := itemError(v, clean)
	if i == (ItemError{}) {
		return nil
	}
	e := &Error{Op: op, Status: status, Code: i.Code, RefID: i.RefID, Message: i.Message}
	if d := v.Get("detail"); d.Type != gjson.Null {
		e.Detail = clean(d.Raw)
	}
	return e
}

// itemError reads the code, the refId and the message of an error.
func itemError(v gjson.Result, clean func(string) string) ItemError {
	i := ItemError{RefID: clean(label(v.Get("refId"))), Message: clean(text(v.Get("message")))}
	code, ok := whole(v.Get("errorCode"))
	if written := label(v.Get("errorCode")); !ok && written != "" {
		i.Message = clean("errorCode " + written + ": " + i.Message)
	}
	i.Code = int(code)
	return i
}

// maxMessage is how many runes of an error message are kept.
const maxMessage = 300

func oneLine(text string) string { return foreign.Line(text, maxMessage) }
