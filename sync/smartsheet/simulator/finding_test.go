package simulator

import (
	"fmt"
	"testing"
	"time"

	"photosync/sync/smartsheet"
)

// directory is a server with n users and a client of it, whose quota is no limit.
func directory(t *testing.T, n int, o Options) (*Server, *smartsheet.Client) {
	o.Users = make([]smartsheet.User, n)
	for i := range o.Users {
		o.Users[i].Email = person(i)
	}
	s := New(o)
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
		quirks        Options
		most          int  // calls
		unknown       bool // totals
	}{
		"40 of 100,000":                     {100_000, 40, Options{}, 2, false},
		"40 of 20,000, short pages":         {20_000, 40, Options{PageSizeCap: 100}, 2, false},
		"40 of 20,000, totals unknown":      {20_000, 40, Options{}, 2, true},
		"40 of 20,000, last page again":     {20_000, 40, Options{RepeatLastPage: true}, 2, false},
		"40 of 20,000, both":                {20_000, 40, Options{RepeatLastPage: true}, 2, true},
		"40 of 20,000, coming and going":    {20_000, 40, Options{Churn: true}, 2, false},
		"400 of 20,000":                     {20_000, 400, Options{}, 5, false}, // 3 filters and the page that weighs them
		"100,000 of 100,000":                {100_000, 100_000, Options{}, 105, false},
		"5,000, users twice":                {5_000, 5_000, Options{DuplicateUsers: true}, 6, false},
		"5,000, short pages, unknown":       {5_000, 5_000, Options{PageSizeCap: 100}, 58, true},
		"5,000, last page again":            {5_000, 5_000, Options{RepeatLastPage: true}, 6, false},
		"5,000, short pages, both":          {5_000, 5_000, Options{PageSizeCap: 100, RepeatLastPage: true}, 58, true},
		"5,000 of 5,000, short pages":       {5_000, 5_000, Options{PageSizeCap: 100}, 58, false},
		"5,000, short pages, all quirks":    {5_000, 5_000, Options{PageSizeCap: 100, DuplicateUsers: true, RepeatLastPage: true}, 58, true},
		"10,000, coming and going":          {10_000, 10_000, Options{Churn: true}, 21, false}, // a page again for each who went
		"30,000 who are not there of 1,000": {1_000, 30_000, Options{}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, client := directory(t, c.users, c.quirks)
			if c.unknown {
				if err := s.AddQuirk("totals-unknown"); err != nil {
					t.Fatal(err)
				}
			}
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
	for _, o := range []Options{{Churn: true}, {Churn: true, PageSizeCap: 20}, {Churn: true, PageSizeCap: 10}, {Churn: true, PageSizeCap: 10, RepeatLastPage: true}} {
		_, client := directory(t, 700, o)
		seen := map[string]int{}
		if err := client.Users(t.Context(), func(u smartsheet.User) error { seen[u.Email]++; return nil }); err != nil {
			t.Fatal(err)
		}
		for i := range 700 {
			if seen[person(i)] != 1 {
				t.Fatalf("%+v: %s was seen %d times", o, person(i), seen[person(i)])
			}
		}
	}
}
