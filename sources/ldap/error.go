package ldap

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/go-ldap/ldap/v3"
)

// Error is what went wrong with a directory.
type Error struct {
	Op  string // connect, start TLS, bind, ask about, list, read photos
	URL string
	Err error
}

// Error is one line: what a server says may hold several, and Active Directory
// ends it with a NUL.
func (e *Error) Error() string {
	text := strings.FieldsFunc(e.Err.Error(), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	return strings.TrimSuffix(fmt.Sprintf("%s %s: %s", e.Op, e.URL, strings.Join(text, " ")), ":") // of go-ldap, where the server says no more
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) code() uint16 {
	if le, ok := errors.AsType[*ldap.Error](e.Err); ok {
		return le.ResultCode
	}
	return 0
}

// serversError is why each of the servers could not be had.
type serversError []error

// Error is one line.
func (e serversError) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e serversError) Unwrap() []error { return e }

// Hint has the hint of each, once.
func (e serversError) Hint() string {
	var hints []string
	for _, err := range e {
		if own, ok := errors.AsType[*Error](err); ok && !slices.Contains(hints, own.Hint()) {
			hints = append(hints, own.Hint())
		}
	}
	return strings.Join(hints, "; ")
}

// problem is what was found wrong beside a server's answers, and what to do about it.
type problem struct {
	text  string // may be empty, with err
	hint  string
	final bool  // the next server would not do better
	err   error // what it comes from; nil: nothing
}

func (p *problem) Error() string {
	switch {
	case p.err == nil:
		return p.text
	case p.text == "":
		return p.err.Error()
	}
	return p.text + ": " + p.err.Error()
}

func (p *problem) Unwrap() error { return p.err }

// final is a problem that the next server would have, too.
func final(hint, format string, args ...any) *problem {
	return &problem{text: fmt.Sprintf(format, args...), hint: hint, final: true}
}

func isFinal(err error) bool {
	p, ok := errors.AsType[*problem](err)
	return ok && p.final
}

// plain leaves out what go-ldap puts before an error of its own.
func plain(err error) error {
	if e, ok := errors.AsType[*ldap.Error](err); ok && e.Err != nil {
		err = e.Err
	}
	return errors.New(strings.TrimPrefix(err.Error(), "ldap: "))
}
