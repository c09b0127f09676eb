package plan

// Policy says what happens to the picture that a user has in Smartsheet already.
type Policy string

// Policies for existing pictures. Drift is that the picture in Smartsheet, known
// by its image id, is not the one that we uploaded.
const (
	OnSourceChange Policy = "on_source_change" // upload when the source changed
	Enforce        Policy = "enforce"          // and when the picture drifted
	RespectUser    Policy = "respect_user"     // never touch a picture that is not ours
	FillEmpty      Policy = "fill_empty"       // only people without a picture
)

// sees tells whether the policy has to know the picture in Smartsheet.
func (p Policy) sees() bool { return p == Enforce || p == RespectUser || p == FillEmpty }

// respect takes an upload that the policy forbids out of the plan. The user of a
// is as Smartsheet shows it now.
func (a Action) respect(p Policy) Action {
	ours := a.Record.UserID == a.User.ID && a.Record.ImageID != ""
	drifted := ours && a.Record.ImageID != a.User.ImageID
	foreign := a.User.ImageID != "" && !ours
	if p == FillEmpty && a.User.ImageID != "" || p == RespectUser && (drifted || foreign) {
		a.Settle = false // under another policy it would still be to be uploaded
		return a.skip(UserChanged)
	}
	return a
}

// enforce plans the upload of an unchanged picture that drifted.
func (a Action) enforce(users map[string][]User) Action {
	for _, e := range a.Emails {
		for _, u := range users[e] {
			if u.ID == a.Record.UserID && u.Active && a.Record.ImageID != "" && u.ImageID != a.Record.ImageID {
				a.User = u
				return a.upload(Drifted)
			}
		}
	}
	return a
}
