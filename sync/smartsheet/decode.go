package smartsheet

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Answers are read leniently, field by field: a field that is not needed, or has
// another shape than the reference says, must not make the whole answer unreadable.
// The OpenAPI document and the SDKs differ already about alternateEmails.

// text is a JSON string; of another shape it counts as not given.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	if b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err == nil {
			*t = text(s)
		}
	}
	return nil
}

// label is a name that identifies something: a string, or a number as it is written.
type label string

func (l *label) UnmarshalJSON(b []byte) error {
	*l = ""
	if isNumber(b) {
		*l = label(b)
		return nil
	}
	return (*text)(l).UnmarshalJSON(b)
}

func isNumber(b []byte) bool { return b[0] == '-' || b[0] >= '0' && b[0] <= '9' }

// integer is a whole number of 64 bits, written as a number or as a string of digits.
// It never passes through a float.
type integer struct {
	n     int64
	given bool   // false: not there, or not a whole number
	text  string // as it is written; empty: not there, or null
}

func (i *integer) UnmarshalJSON(b []byte) error {
	*i = integer{}
	if string(b) == "null" {
		return nil
	}
	i.text = string(b)
	n, err := strconv.ParseInt(strings.Trim(i.text, `"`), 10, 64)
	if err == nil {
		i.n, i.given = n, true
	}
	return nil
}

// flag is true, false or, of any other shape, not given.
type flag struct{ value *bool }

func (f *flag) UnmarshalJSON(b []byte) error {
	f.value = nil
	if s := string(b); s == "true" || s == "false" {
		v := s == "true"
		f.value = &v
	}
	return nil
}

// object is a JSON object; of another shape it counts as not given.
type object[T any] struct {
	is    T
	given bool
}

func (o *object[T]) UnmarshalJSON(b []byte) error {
	*o = object[T]{}
	if b[0] == '{' {
		o.given = json.Unmarshal(b, &o.is) == nil
	}
	return nil
}

// some are objects in an array, or one object in its place. What is no object is left out.
type some[T any] []T

func (s *some[T]) UnmarshalJSON(b []byte) error {
	*s = nil
	var all []object[T]
	if b[0] == '[' {
		if err := json.Unmarshal(b, &all); err != nil {
			return err
		}
	} else {
		all = make([]object[T], 1)
		if err := all[0].UnmarshalJSON(b); err != nil {
			return err
		}
	}
	for _, o := range all {
		if o.given {
			*s = append(*s, o.is)
		}
	}
	return nil
}

// wireUser is a user as the API writes one.
type wireUser struct {
	ID           integer `json:"id"`
	Email        label   `json:"email"`
	Name         text    `json:"name"`
	Status       text    `json:"status"`
	IsInternal   flag    `json:"isInternal"`
	ProfileImage object[struct {
		ImageID label `json:"imageId"`
	}] `json:"profileImage"`
	AlternateEmails some[struct {
		Email     text `json:"email"`
		Confirmed flag `json:"confirmed"`
	}] `json:"alternateEmails"`
}

func (w *wireUser) user() User {
	u := User{
		ID: w.ID.n, Email: string(w.Email), Name: string(w.Name), Status: string(w.Status),
		ImageID: string(w.ProfileImage.is.ImageID), IsInternal: w.IsInternal.value,
	}
	for _, a := range w.AlternateEmails {
		if a.Email != "" {
			u.AlternateEmails = append(u.AlternateEmails, AlternateEmail{string(a.Email), a.Confirmed.value != nil && *a.Confirmed.value})
		}
	}
	return u
}

// listed is a user of a list, who must have an id and an address to be of use.
func listed(entry []byte) User {
	var w object[wireUser]
	_ = w.UnmarshalJSON(entry) // never fails: what it cannot read is not given
	u := w.is.user()
	switch {
	case !w.given:
		u.Unusable = "the entry is " + oneLine(string(entry)) + ", not a user"
	case !w.is.ID.given && w.is.ID.text != "":
		u.Unusable = "user id " + oneLine(w.is.ID.text) + " is no whole number"
	case u.ID == 0:
		u.Unusable = "no user id"
	case !strings.Contains(u.Email, "@"):
		u.Unusable = "no email address"
	}
	return u
}
