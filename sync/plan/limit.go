package plan

// Left is an upload that is left to a later run, in little memory.
type Left struct {
	Email, Source, Ref string
	UserID             int64
	Reason             Reason
}

// Limit leaves the n most urgent uploads in the plan; 0: all.
func (p *Plan) Limit(n int) {
	up := p.Uploads()
	if n == 0 || len(up) <= n {
		return
	}
	for _, a := range up[n:] {
		a.Outcome = Unfinished
	}
	p.Left = make([]Left, 0, len(up)-n)
	rest := make([]Action, 0, len(p.Actions)-len(up)+n)
	for i, a := range p.Actions {
		if a.Outcome == Unfinished {
			p.Left = append(p.Left, Left{a.Key(), a.Source(), a.Candidate().Ref.Name, a.User().ID, a.Reason})
		} else {
			rest = append(rest, a)
		}
		p.Actions[i] = Action{} // who is left is forgotten as soon as possible
	}
	p.Actions = rest
}
