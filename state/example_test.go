package state_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"photosync/state"
)

// A state is opened, bound to the account, and told before an upload what is about to
// be sent, and after the answer that it was.
func Example() {
	dir, err := os.MkdirTemp("", "state")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	s, err := state.Open(filepath.Join(dir, "state.db"), state.Options{})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	if err := s.Bind(state.Account{Root: "https://api.smartsheet.com/2.0", ID: 42, Name: "Example"}); err != nil {
		panic(err)
	}

	ada := state.Origin{Source: "ad", Email: "ada@example.com"}
	sum := "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	now := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

	user := state.User{ID: 7, Email: "ada@example.com"}
	user.Intent = &state.Intent{Origin: ada, SourceSHA256: sum, RunID: "r1", At: now}
	if err := s.Write(state.Change{Users: []state.User{user}}); err != nil {
		panic(err)
	}
	// … the upload, and its answer …
	user.Sent, user.Intent = &state.Sent{Origin: ada, SourceSHA256: sum, ImageID: "img1", RunID: "r1", At: now}, nil
	if err := s.Write(state.Change{Users: []state.User{user}}); err != nil {
		panic(err)
	}

	known, found, err := s.User(7)
	fmt.Println(found, known.Sent.ImageID, known.Intent == nil, err)
	_, found, err = s.User(8)
	fmt.Println(found, err)
	// Output:
	// true img1 true <nil>
	// false <nil>
}
