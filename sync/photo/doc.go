// Package photo turns the bytes a source holds into a picture that Smartsheet
// takes, or says why it cannot: bytes in, picture or *Error out. Its functions
// are pure: no files, no network, no clock.
package photo
