package smartsheet

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Answers are read field by field. A field that is not needed, or has another shape than
// the reference says, must not make the whole answer unreadable: the OpenAPI document
// and the SDKs differ already about alternateEmails.

// parse reads an answer; of one that is no JSON, nothing exists.
func parse(body []byte) gjson.Result {
	if !gjson.ValidBytes(body) {
		return gjson.Result{}
	}
	return gjson.ParseBytes(body)
}

// text is a string; of another shape it counts as not given. It is a copy: what is kept
// of a user must not keep the whole answer.
func text(v gjson.Result) string {
	if v.Type != gjson.String {
		return ""
	}
	return strings.Clone(v.Str)
}

// label is what identifies something: a string, or a number as it is written.
func label(v gjson.Result) string {
	if v.Type == gjson.Number {
		return strings.Clone(v.Raw)
	}
	return text(v)
}

// whole is a whole number of 64 bits, written as a number or as a string of digits. It
// never passes through a float.
func whole(v gjson.Result) (n int64, ok bool) {
	n, err := strconv.ParseInt(label(v), 10, 64)
	return n, err == nil
}

// objects are those in an array, or the one in its place. What is no object is left out.
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

// userOf reads a user, as far as possible.
func userOf(v gjson.Result) User {
	u := User{
		Email: label(v.Get("email")), Name: text(v.Get("name")), Status: text(v.Get("status")),
		ImageID: label(v.Get("profileImage.imageId")),
	}
	u.ID, _ = whole(v.Get("id"))
	if x := v.Get("isInternal"); x.IsBool() {
		b := x.Bool()
		u.IsInternal = &b
	}
	for _, a := range objects(v.Get("alternateEmails")) {
		if e := text(a.Get("email")); e != "" {
			u.AlternateEmails = append(u.AlternateEmails, AlternateEmail{e, a.Get("confirmed").Type == gjson.True})
		}
	}
	return u
}

// listed reads a user of a list, who must have an id and an address to be of use.
func listed(v gjson.Result) User {
	u := userOf(v)
	id := v.Get("id")
	switch _, ok := whole(id); {
	case !v.IsObject():
		u.Unusable = "the entry is " + oneLine(v.Raw) + ", not a user"
	case !ok && id.Type != gjson.Null:
		u.Unusable = "user id " + oneLine(id.Raw) + " is no whole number"
	case u.ID == 0:
		u.Unusable = "no user id"
	case !strings.Contains(u.Email, "@"):
		u.Unusable = "no email address"
	}
	return u
}
