package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"photosync/state"
)

func encodeTo(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// printRemembered writes what is remembered of a person in a line.
func printRemembered(w io.Writer, r *state.Record, asJSON bool) error {
	if asJSON {
		return encodeTo(w).Encode(r)
	}
	text := "nothing uploaded"
	switch {
	case r.Placeholder:
		text = "placeholder, " + r.UploadedAt.Format(time.RFC3339)
	case r.Adopted:
		text = "adopted " + r.UploadedAt.Format(time.RFC3339)
	case r.UploadSHA256 != "":
		text = "uploaded " + r.UploadedAt.Format(time.RFC3339)
	}
	if r.Missing > 0 {
		text += ", no photo for " + count(r.Missing, "complete run")
	}
	if f := r.Failure; f != nil {
		text += fmt.Sprintf(", failed %s: %s %s", count(f.Count, "time"), f.Code, f.Message)
		if f.RefID != "" {
			text += " (refId " + f.RefID + ")"
		}
	}
	_, err := fmt.Fprintf(plainWriter{w}, "%s  %s: %s  %s\n", r.Email, r.Source, r.Ref, text)
	return err
}

// printRememberedWhole writes everything that is remembered of a person.
func printRememberedWhole(w io.Writer, r *state.Record, asJSON bool) error {
	if asJSON {
		e := encodeTo(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	w = plainWriter{w}
	fmt.Fprintf(w, "%s  Smartsheet user %d\n", r.Email, r.UserID)
	printRecord(w, r)
	return nil
}
