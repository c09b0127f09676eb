package job

import (
	"cmp"
	"slices"
	"strings"

	"photosync/sources"
	"photosync/state"
)

// maxNearest is how many addresses are suggested for one that nobody knows.
const maxNearest = 5

// nearest finds the addresses in the sources and in the state that look most like the
// one asked for.
func nearest(email string, people *sources.People, st *state.Store) (emails []string, err error) {
	type near struct {
		email    string
		distance int
	}
	var all []near
	most := max(3, len(email)/3)
	consider := func(e string) {
		n := near{e, distance(email, e, most)}
		if n.distance > most || slices.Contains(all, n) {
			return
		}
		all = append(all, n)
		slices.SortStableFunc(all, func(a, b near) int { return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.email, b.email)) })
		if len(all) > maxNearest {
			all = all[:maxNearest]
			most = all[maxNearest-1].distance
		}
	}
	for p := range people.All() {
		for _, e := range slices.Concat(p.Own, p.Aliases) {
			consider(e)
		}
	}
	err = st.View(func(v *state.Snapshot) error {
		for row, err := range v.People() {
			if err != nil {
				return err
			}
			consider(strings.Clone(row.Email))
		}
		return nil
	})
	for _, n := range all {
		emails = append(emails, n.email)
	}
	return emails, err
}

// distance is how many characters have to be put in, taken out or exchanged to make
// a of b (Levenshtein), or more than most.
func distance(a, b string, most int) int {
	if d := len(a) - len(b); d > most || -d > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, least := row[0], i
		row[0] = i
		for j := 1; j <= len(b); j++ {
			d := before
			if a[i-1] != b[j-1] {
				d++
			}
			before = row[j]
			row[j] = min(d, row[j]+1, row[j-1]+1)
			least = min(least, row[j])
		}
		if least > most {
			return most + 1
		}
	}
	return row[len(b)]
}
