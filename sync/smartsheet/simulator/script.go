package simulator

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"photosync/sync/smartsheet"
)

// A script changes users while clients talk to the server: people join, leave, are
// renamed, recreated and deactivated, or change their picture. Each line says when and
// what; a step is done before the first request that is due, so that time may be virtual.

// step is a line of a script.
type step struct {
	after time.Duration // since New; or
	op    string        // of a request: a name of Counts.ByOp
	nth   int           // the request with which it is done
	do    func(*Server)
}

// actions are what a step can do, and how many words come after each. Who is not there
// is not changed.
var actions = map[string]struct {
	words int
	do    func(s *Server, word []string)
}{
	"add":      {1, func(s *Server, w []string) { s.AddUser(smartsheet.User{Email: w[0]}) }},
	"delete":   {1, func(s *Server, w []string) { s.RemoveUser(w[0]) }},
	"recreate": {1, func(s *Server, w []string) { s.Recreate(w[0]) }},
	"rename":   {2, func(s *Server, w []string) { s.Rename(w[0], w[1]) }},
	"status":   {2, func(s *Server, w []string) { s.SetStatus(w[0], w[1]) }},
	"alternate": {2, func(s *Server, w []string) {
		s.SetAlternates(w[0], smartsheet.AlternateEmail{Email: w[1], Confirmed: true})
	}},
	"picture": {1, func(s *Server, w []string) { s.SetImage(w[0], []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;")) }},
	"others": {1, func(s *Server, w []string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.o.Others, _ = strconv.Atoi(w[0]) // what is no number: nobody
	}},
	"fault": {1, func(s *Server, w []string) {
		if f, err := ParseFault(w[0]); err == nil {
			s.AddFault(f)
		}
	}},
	"clear-faults": {0, func(s *Server, _ []string) { s.ClearFaults() }},
	"expire-token": {0, func(s *Server, _ []string) { s.ExpireTokens() }},
}

// AddScript reads a script. A line is WHEN ACTION [WORDS]; WHEN is a time after the
// start, like 30s, or a request, like upload=10 for the tenth upload. The actions are add
// EMAIL, delete EMAIL, recreate EMAIL, rename EMAIL EMAIL, status EMAIL STATUS, alternate
// EMAIL EMAIL, picture EMAIL, others REQUESTS-A-MINUTE, fault FAULT, clear-faults and expire-token. Empty lines and
// those that begin with # say nothing.
func (s *Server) AddScript(r io.Reader) error {
	in := bufio.NewScanner(r)
	var all []*step
	for n := 1; in.Scan(); n++ {
		word := strings.Fields(in.Text())
		if len(word) == 0 || strings.HasPrefix(word[0], "#") {
			continue
		}
		x, err := parseStep(word)
		if err != nil {
			return fmt.Errorf("script, line %d: %w", n, err)
		}
		all = append(all, x)
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read script: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, all...)
	return nil
}

func parseStep(word []string) (*step, error) {
	x := &step{}
	op, nth, counted := strings.Cut(word[0], "=")
	var err error
	if counted {
		x.op = op
		x.nth, err = strconv.Atoi(nth)
	} else {
		x.after, err = time.ParseDuration(word[0])
	}
	if err != nil || x.after < 0 || counted && (x.nth < 1 || !slices.Contains(ops, op)) {
		return nil, fmt.Errorf("%q: want a time after the start, like 30s, or a request, like upload=10, of one of %s", word[0], strings.Join(ops, ", "))
	}
	if len(word) == 1 {
		word = append(word, "")
	}
	a, ok := actions[word[1]]
	rest := word[2:]
	if !ok || len(rest) != a.words {
		return nil, fmt.Errorf("no action %q with %d words; there are %s", word[1], len(rest), strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	}
	if word[1] == "fault" {
		if _, err := ParseFault(rest[0]); err != nil {
			return nil, err
		}
	}
	x.do = func(s *Server) { a.do(s, rest) }
	return x, nil
}

// play does the steps that are due.
func (s *Server) play() {
	for {
		x := s.due()
		if x == nil {
			return
		}
		x.do(s)
	}
}

// due takes the first step that is due out of the script.
func (s *Server) due() *step {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, x := range s.script {
		n := s.counts.ByOp[x.op]
		if x.op == "any" {
			n = s.counts.Requests
		}
		if x.op == "" && time.Since(s.start) >= x.after || x.op != "" && n >= x.nth {
			s.script = append(s.script[:i:i], s.script[i+1:]...)
			return x
		}
	}
	return nil
}
