package main

import (
	"bytes"
	"strings"
	"testing"

	"photosync/sync/smartsheet"
)

// After an address was handed over to another user, show and forget are about the person
// who has it now, and nothing of the address is left in the state.
func TestForgetAfterHandover(t *testing.T) {
	ann := users(3)
	for i := range ann {
		ann[i].ID = int64(101 + i)
	}
	s := newSite(t, ann, "")
	for i := range ann {
		s.put(email(i), picture(i))
	}
	s.run(exitDone, "sync")
	s.sim.RemoveUser(email(0))
	s.sim.AddUser(smartsheet.User{ID: 101, Email: "ann.lee@example.com"})
	s.sim.AddUser(smartsheet.User{ID: 109, Email: email(0)})
	s.put(email(0), picture(9))
	s.run(exitDone, "sync")

	command := func(args ...string) string {
		var out bytes.Buffer
		args = append(args, "--config", s.conf)
		if code := run(t.Context(), args, func(string) string { return "" }, &out, &out); code != exitDone {
			t.Fatalf("%q: exit %d\n%s", args, code, out.String())
		}
		return out.String()
	}
	if out := command("state", "show", email(0), "--output", "json"); !strings.Contains(out, `"user_id": 109`) {
		t.Errorf("shown: %s", out)
	}
	command("state", "forget", "--yes", email(0))
	if out := command("state", "export"); strings.Contains(out, email(0)) || !strings.Contains(out, email(1)) {
		t.Errorf("left in the state: %s", out)
	}
	if r := s.run(exitDone, "sync"); r.Totals.Uploaded != 1 {
		t.Errorf("the next run: %+v", r.Totals)
	}
}
