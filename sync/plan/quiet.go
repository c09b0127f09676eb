package plan

import (
	"strings"

	"photosync/sources"
	"photosync/state"
)

// Quiet tells, without taking memory, whether Build would find a person unchanged
// and have nothing to remember, and which source the photo is from. It may be
// false for some of those; it is true for nobody else.
func Quiet(j sources.Joined, e *state.Entry, o *Options) (source int, quiet bool) {
	switch {
	case o.Force, o.Checksum, o.Source != "", o.Existing == Enforce,
		j.Ambiguous, !e.Photo, !e.Uploaded, e.Noted, e.Rendering != o.Rendering:
		return 0, false
	}
	at := 0
	for i, c := range j.Candidates {
		if c.Ref.Name == e.Ref && o.Sources[c.Source] == e.Source {
			at = i
			break
		}
	}
	if !isChainStamp(e.Stamp, j.Candidates[:at+1], o) || o.excluded(e.Email) {
		return 0, false
	}
	return j.Candidates[at].Source, true
}

// isChainStamp tells whether s is what chainStamp makes of the candidates.
func isChainStamp(s string, cs []sources.Candidate, o *Options) bool {
	for i, c := range cs {
		if c.Stamp == "" && c.HasPhoto != sources.Absent {
			return false
		}
		found := true
		for _, part := range [...]string{"\n", o.Sources[c.Source], "=", c.Stamp} {
			if i == 0 && part == "\n" {
				continue
			}
			if s, found = strings.CutPrefix(s, part); !found {
				return false
			}
		}
	}
	return s == ""
}
