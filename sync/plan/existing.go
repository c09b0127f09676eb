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
// is as Smartsheet shows it now. A placeholder of ours is no picture of anybody's:
// the photo that returns replaces it under every policy.
func (a Action) respect(p Policy) Action {
	u := a.User()
	theirs := u.ImageID != "" && !a.ours(u)
	removed := a.Record().UserID == u.ID && a.Record().ImageID != "" && u.ImageID == ""
	full := u.ImageID != "" && !(a.Record().Placeholder && a.ours(u))
	if p == FillEmpty && full || p == RespectUser && (theirs || removed) {
		a.Settle = false // under another policy it would still be to be uploaded
		return a.skip(UserChanged)
	}
	return a
}

// ours tells whether the picture of u is the one that we uploaded. Nobody knows that
// of one that was adopted: what must not touch other people's pictures leaves it alone.
func (a Action) ours(u User) bool { return a.recorded(u) && !a.Record().Adopted }

// recorded tells whether the picture of u is the one that the state remembers.
func (a Action) recorded(u User) bool {
	return a.Record().UserID == u.ID && a.Record().ImageID != "" && a.Record().ImageID == u.ImageID
}

// enforce plans the upload of an unchanged picture that drifted, or whose user is
// another one now.
func (a Action) enforce() Action {
	found := a.found()
	if len(found) != 1 || len(found[0].claims()) > 0 || !found[0].Active || a.Record().ImageID == "" || a.recorded(found[0]) {
		return a
	}
	a.user, a.Drift = &found[0], true
	return a.upload(Drifted)
}

// Picture says whose picture u has.
func (a Action) Picture(u User) string {
	switch {
	case u.ImageID == "":
		return "none"
	case !a.recorded(u):
		return "another"
	case a.Record().Adopted:
		return "adopted"
	case a.Record().Placeholder:
		return "our placeholder"
	}
	return "ours"
}
