// Package photo turns the bytes a source holds into a picture that Smartsheet
// takes, or says why it cannot: bytes in, Picture or *Error out. It touches no
// file, no network, no clock but to end what takes too long, and the same bytes with
// the same Options give the same picture on every machine.
//
// A picture is looked at in this order, each step bounding the next: what the
// first bytes say it is (never its name), whether its container is whole from
// the first marker to the last, how many pixels it claims, and only then,
// where anything has to be known or changed, the pixels themselves. Bytes that
// need no change are passed on as they are.
package photo
