package simulator

import (
	"fmt"
	"testing"
	"time"

	"photosync/sync/smartsheet"
)

// directory is a server with n users and quirks, and a client of it, whose quota is no limit.
func directory(t *testing.T, n int, quirks string) (*Server, *smartsheet.Client) {
	users := make([]smartsheet.User, n)
	for i := range users {
		users[i].Email = person(i)
	}
	s := New(Options{Users: users})
	quirk(t, s, quirks)
	c, err := smartsheet.New(smartsheet.Options{
		BaseURL: "https://api.example.test/2.0", Transport: s.Transport(), Token: "t", RequestsPerMinute: 60_000_000, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func person(i int) string { return fmt.Sprintf("first.last%06d@example.com", i) }

// Finding people takes few calls, and finds all of them, whatever the lists are like.
func TestFindingPeople(t *testing.T) {
	for name, c := range map[string]struct {
		users, wanted int
		quirks        string
		most          int // calls
	}{
		"40 of 100,000":                     {100_000, 40, "", 2},
		"40 of 20,000, short pages":         {20_000, 40, "page-cap=100", 2},
		"40 of 20,000, totals unknown":      {20_000, 40, "totals-unknown", 2},
		"40 of 20,000, last page again":     {20_000, 40, "repeat-last-page", 2},
		"40 of 20,000, both":                {20_000, 40, "repeat-last-page totals-unknown", 2},
		"40 of 20,000, coming and going":    {20_000, 40, "churn", 2},
		"400 of 20,000":                     {20_000, 400, "", 5}, // 3 filters and the page that weighs them
		"100,000 of 100,000":                {100_000, 100_000, "", 105},
		"5,000, users twice":                {5_000, 5_000, "duplicate-users", 6},
		"5,000, short pages, unknown":       {5_000, 5_000, "page-cap=100 totals-unknown", 58},
		"5,000, last page again":            {5_000, 5_000, "repeat-last-page", 6},
		"5,000, short pages, both":          {5_000, 5_000, "page-cap=100 repeat-last-page totals-unknown", 58},
		"5,000 of 5,000, short pages":       {5_000, 5_000, "page-cap=100", 58},
		"5,000, short pages, all quirks":    {5_000, 5_000, "page-cap=100 duplicate-users repeat-last-page totals-unknown", 58},
		"10,000, coming and going":          {10_000, 10_000, "churn", 21}, // a page again for each who went
		"30,000 who are not there of 1,000": {1_000, 30_000, "", 2},
	} {
		if testing.Short() && c.users > 20_000 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s, client := directory(t, c.users, c.quirks)
			emails := make([]string, c.wanted)
			missing := make(map[string]bool, c.wanted)
			for i := range emails { // from the end of the list on
				emails[i] = person(c.users - 1 - i)
				missing[emails[i]] = i < c.users
			}
			_, err := client.UsersByEmail(t.Context(), emails, func(u smartsheet.User) error {
				delete(missing, u.Email)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for e, there := range missing {
				if there {
					t.Fatalf("%s was not found, of %d missing", e, len(missing))
				}
			}
			if n := s.Counts().Requests; n > c.most {
				t.Errorf("%d calls, want at most %d", n, c.most)
			}
		})
	}
}

// Everyone is listed once although somebody comes, or goes, after each page.
func TestListingWhilePeopleComeAndGo(t *testing.T) {
	for _, quirks := range []string{"churn", "churn page-cap=20", "churn page-cap=10", "churn page-cap=10 repeat-last-page"} {
		_, client := directory(t, 700, quirks)
		seen := map[string]int{}
		if err := client.Users(t.Context(), func(u smartsheet.User) error { seen[u.Email]++; return nil }); err != nil {
			t.Fatal(err)
		}
		for i := range 700 {
			if seen[person(i)] != 1 {
				t.Fatalf("%s: %s was seen %d times", quirks, person(i), seen[person(i)])
			}
		}
	}
}
