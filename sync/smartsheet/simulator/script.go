package simulator

import (
	"bufio"
	"fmt"
	"io"
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
	do    func(*Server) bool
	line  string
}

// actions are what a step can do, and how many words come after each.
var actions = map[string]struct {
	words int
	do    func(s *Server, word []string) bool
}{
	"add":      {1, func(s *Server, w []string) bool { s.AddUser(smartsheet.User{Email: w[0]}); return true }},
	"delete":   {1, func(s *Server, w []string) bool { return s.RemoveUser(w[0]) }},
	"recreate": {1, func(s *Server, w []string) bool { return s.Recreate(w[0]) }},
	"rename":   {2, func(s *Server, w []string) bool { return s.Rename(w[0], w[1]) }},
	"status":   {2, func(s *Server, w []string) bool { return s.SetStatus(w[0], w[1]) }},
	"alternate": {2, func(s *Server, w []string) bool {
		return s.SetAlternates(w[0], smartsheet.AlternateEmail{Email: w[1], Confirmed: true})
	}},
	"picture": {1, func(s *Server, w []string) bool {
		return s.SetImage(w[0], []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"))
	}},
	"expire-token": {0, func(s *Server, _ []string) bool { s.ExpireTokens(); return true }},
	"clear-faults": {0, func(s *Server, _ []string) bool { s.ClearFaults(); return true }},
	"fault": {1, func(s *Server, w []string) bool {
		f, err := ParseFault(w[0])
		if err == nil {
			s.AddFault(f)
		}
		return err == nil
	}},
}

// AddScript reads a script. A line is WHEN ACTION [WORDS]; WHEN is a time after the
// start, like 30s, or a request, like upload=10 for the tenth upload. The actions are add
// EMAIL, delete EMAIL, recreate EMAIL, rename EMAIL EMAIL, status EMAIL STATUS, alternate
// EMAIL EMAIL, picture EMAIL, fault FAULT, clear-faults and expire-token. Empty lines and
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
	x := &step{line: strings.Join(word, " ")}
	if op, nth, ok := strings.Cut(word[0], "="); ok {
		n, err := strconv.Atoi(nth)
		if err != nil || n < 1 || (&Fault{Op: op}).check() != nil {
			return nil, fmt.Errorf("%q: want a request, like upload=10, with one of %s", word[0], strings.Join(ops, ", "))
		}
		x.op, x.nth = op, n
	} else if d, err := time.ParseDuration(word[0]); err != nil || d < 0 {
		return nil, fmt.Errorf("%q: want a time after the start, like 30s, or a request, like upload=10", word[0])
	} else {
		x.after = d
	}
	if len(word) < 2 {
		return nil, fmt.Errorf("%q: want what to do", x.line)
	}
	a, ok := actions[word[1]]
	if !ok {
		return nil, fmt.Errorf("no action %q", word[1])
	}
	rest := word[2:]
	if len(rest) != a.words {
		return nil, fmt.Errorf("%q: want %d words after %s", x.line, a.words, word[1])
	}
	if word[1] == "fault" {
		if _, err := ParseFault(rest[0]); err != nil {
			return nil, err
		}
	}
	x.do = func(s *Server) bool { return a.do(s, rest) }
	return x, nil
}

// Undone are the steps whose time has not come, or that found nobody to change.
func (s *Server) Undone() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := append([]string{}, s.vain...)
	for _, x := range s.script {
		lines = append(lines, x.line)
	}
	return lines
}

// play does the steps that are due.
func (s *Server) play() {
	for {
		x := s.due()
		if x == nil {
			return
		}
		if !x.do(s) {
			s.mu.Lock()
			s.vain = append(s.vain, x.line)
			s.mu.Unlock()
		}
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
