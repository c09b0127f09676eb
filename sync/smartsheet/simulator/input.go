package simulator

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"photosync/sync/smartsheet"
)

// ReadUsers reads users from CSV. A line is email, name, status, id, alternate emails (separated by spaces,
// each with a ? if it is not confirmed); all but the email are optional. Lines that begin with # are comments.
func ReadUsers(r io.Reader) ([]smartsheet.User, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	in.Comment = '#'
	in.TrimLeadingSpace = true
	var users []smartsheet.User
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			return users, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read users: %w", err)
		}
		line, _ := in.FieldPos(0)
		rec = append(rec, "", "", "", "")
		u := smartsheet.User{Email: strings.TrimSpace(rec[0]), Name: rec[1], Status: strings.ToUpper(rec[2])}
		if !strings.Contains(u.Email, "@") {
			return nil, fmt.Errorf("read users: line %d: %q is not an email address", line, u.Email)
		}
		if rec[3] != "" {
			if u.ID, err = strconv.ParseInt(rec[3], 10, 64); err != nil || u.ID <= 0 {
				return nil, fmt.Errorf("read users: line %d: %q is not a user id", line, rec[3])
			}
		}
		for _, more := range strings.Fields(rec[4]) {
			email, open := strings.CutSuffix(more, "?")
			u.AlternateEmails = append(u.AlternateEmails, smartsheet.AlternateEmail{Email: email, Confirmed: !open})
		}
		users = append(users, u)
	}
}

// SampleUsers returns n active users, user0001@example.com and so on.
func SampleUsers(n int) []smartsheet.User {
	first := []string{"Ana", "Ben", "Chloé", "Dmitri", "Elif", "Farid", "Grace", "Hùng", "Iris", "João"}
	last := []string{"Adler", "Brown", "Castro", "Diaz", "Evans", "Fischer", "García", "Hansen", "Ito", "Jansen", "Kim"}
	users := make([]smartsheet.User, n)
	for i := range users {
		f, l := first[i%len(first)], last[i/len(first)%len(last)]
		users[i] = smartsheet.User{Email: fmt.Sprintf("user%04d@example.com", i+1), Name: f + " " + l}
	}
	return users
}

// A script changes users while clients use the server: people join, leave, are renamed,
// recreated and deactivated, or change their picture. Each line says when and what. A step is
// done before the first request after its time, so that time may be virtual.

// step is a line of a script.
type step struct {
	after time.Duration // since New; or
	op    string        // of a request: a name of Counts.ByOp
	nth   int           // the number of the request before which it is done
	do    func(*Server)
}

// actions are what a step can do, and how many words follow each. A step for a missing user does nothing.
var actions = map[string]struct {
	words int
	do    func(s *Server, word []string)
}{
	"add":    {1, func(s *Server, w []string) { s.AddUser(smartsheet.User{Email: w[0]}) }},
	"delete": {1, func(s *Server, w []string) { s.RemoveUser(w[0]) }},
	"recreate": {1, func(s *Server, w []string) { // the same email and name, a new id and no picture
		s.change(w[0], func(u *user) {
			s.leave(u)
			s.users = append(s.users, s.join(smartsheet.User{Email: u.Email, Name: u.Name}))
		})
	}},
	"rename":  {2, func(s *Server, w []string) { s.Rename(w[0], w[1]) }},
	"status":  {2, func(s *Server, w []string) { s.SetStatus(w[0], w[1]) }},
	"picture": {1, func(s *Server, w []string) { s.SetImage(w[0], []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;")) }},
	"fault": {1, func(s *Server, w []string) {
		f, _ := ParseFault(w[0]) // without an error: see parseStep
		s.AddFault(f)
	}},
	"clear-faults": {0, func(s *Server, _ []string) { s.ClearFaults() }},
}

// AddScript reads a script. A line is WHEN ACTION [WORDS]; WHEN is a time after the start, like
// 30s, or a request, like upload=10 for the tenth upload. The actions are add EMAIL, delete EMAIL,
// recreate EMAIL, rename EMAIL EMAIL, status EMAIL STATUS, picture EMAIL, fault FAULT and
// clear-faults. Empty lines, and lines that begin with #, are ignored.
func (s *Server) AddScript(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read script: %w", err)
	}
	var all []*step
	for n, line := range strings.Split(string(data), "\n") {
		word := strings.Fields(line)
		if len(word) == 0 || strings.HasPrefix(word[0], "#") {
			continue
		}
		x, err := parseStep(word)
		if err != nil {
			return fmt.Errorf("script, line %d: %w", n+1, err)
		}
		all = append(all, x)
	}
	s.locked(func() { s.script = append(s.script, all...) })
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
	if err != nil || x.after < 0 || counted && (x.nth < 1 || op == "any" || !slices.Contains(ops, op)) {
		return nil, fmt.Errorf("%q: want a time after the start, like 30s, or a request, like upload=10, of one of %s", word[0], strings.Join(ops, ", "))
	}
	name := append(word, "")[1]
	a, ok := actions[name]
	if !ok || len(word) != 2+a.words {
		return nil, fmt.Errorf("no action %q with %d words; there are %s", name, len(word)-2, names(actions))
	}
	if name == "fault" {
		_, err = ParseFault(word[2])
	}
	x.do = func(s *Server) { a.do(s, word[2:]) }
	return x, err
}

func (s *Server) play() {
	var due []*step
	s.locked(func() {
		s.script = slices.DeleteFunc(s.script, func(x *step) bool {
			is := x.op == "" && time.Since(s.start) >= x.after || x.op != "" && s.counts.ByOp[x.op] >= x.nth
			if is {
				due = append(due, x)
			}
			return is
		})
	})
	for _, x := range due {
		x.do(s)
	}
}
