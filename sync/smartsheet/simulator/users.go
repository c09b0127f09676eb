package simulator

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"photosync/sync/smartsheet"
)

// ReadUsers reads users from CSV: email, name, status, id, alternate emails
// (separated by spaces, with a ? behind those that are not confirmed) a line, all but
// the email optional. Lines that begin with # are comments.
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
			return nil, fmt.Errorf("read users: line %d: %q is no email address", line, u.Email)
		}
		if rec[3] != "" {
			if u.ID, err = strconv.ParseInt(rec[3], 10, 64); err != nil || u.ID <= 0 {
				return nil, fmt.Errorf("read users: line %d: %q is no user id", line, rec[3])
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
