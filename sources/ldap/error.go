package ldap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"photosync/sync/foreign"
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
	text := foreign.Line(e.Err.Error(), 1000)
	return strings.TrimSuffix(fmt.Sprintf("%s %s: %s", e.Op, e.URL, text), ":") // of go-ldap, where the server says no more
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
	return strings.ReplaceAll(errors.Join(e...).Error(), "\n", "; ")
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
	error
	hint  string
	final bool // the next server would not do better
}

func (p *problem) Unwrap() error { return p.error }

// final is a problem that the next server would have, too.
func final(hint, format string, args ...any) *problem {
	return &problem{fmt.Errorf(format, args...), hint, true}
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
