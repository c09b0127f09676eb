package match

import (
	"context"
	"slices"
	"testing"

	"photosync/sync/plan"
	"photosync/sync/smartsheet"
)

// exact is a Smartsheet that compares addresses letter by letter.
type exact []smartsheet.User

func (x exact) Users(ctx context.Context, each func(smartsheet.User) error) error {
	_, err := x.UsersByEmail(ctx, nil, each)
	return err
}

func (x exact) UsersByEmail(_ context.Context, emails []string, each func(smartsheet.User) error) (bool, error) {
	for _, u := range x {
		if emails == nil || slices.Contains(emails, u.Email) {
			if err := each(u); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

func (exact) User(context.Context, int64) (smartsheet.User, error) { return smartsheet.User{}, nil }

// A user is found whichever way Smartsheet writes an internationalised domain, when people
// are looked up and when a user is looked up again before the upload.
func TestInternationalisedDomains(t *testing.T) {
	for _, stored := range []string{"ann@m\u00fcnchen.example", "ann@xn--mnchen-3ya.example"} {
		us := New(exact{{ID: 7, Email: stored, Status: "ACTIVE"}})
		const email = "ann@xn--mnchen-3ya.example"
		if err := us.lookUp(t.Context(), []string{email}); err != nil {
			t.Fatal(err)
		}
		u, seen := us.Seen[7]
		if !seen || u.Email != email {
			t.Fatalf("%s: seen %v", stored, us.Seen)
		}
		again, err := us.LookUpAgain(t.Context(), []*plan.Step{{To: &plan.User{ID: 7, Via: email}}})
		if err != nil || len(again) != 1 || again[0].ID != 7 {
			t.Errorf("%s: again %v, %v", stored, again, err)
		}
	}
}
