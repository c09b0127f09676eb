package job

import (
	"cmp"
	"fmt"
	"slices"

	"photosync/sync/smartsheet"
)

// edit is one change of the company. Its numbers are taken modulo what there is.
type edit struct {
	What    string
	A, B, C int
}

func (e edit) String() string { return fmt.Sprintf("%s(%d,%d,%d)", e.What, e.A, e.B, e.C) }

// address is one of a few, so that they pass from one to another.
func (c *company) address(n int) string { return email(n % (len(c.entries) + 3)) }

func pick[T any](all []T, n int) (one T) {
	if len(all) > 0 {
		one = all[n%len(all)]
	}
	return one
}

// edits are what can happen, with how often it does.
var edits = map[string]int{
	"photo": 6, "former photo": 2, "photo of another": 1, "no photo": 3, "leave": 2, "join": 3, "join both": 2,
	"rename": 2, "rename both": 3, "swap": 1, "swap both": 2, "swap users": 1, "alias": 2, "two aliases": 2, "recreate entry": 2,
	"user joins": 2, "user leaves": 1, "user renamed": 2, "user recreated": 2, "user status": 2, "own picture": 4,
	"hand over": 2, "second entry": 1, "new photos": 1, "two users": 2,
	"other address": 3, "other address passes": 1, "user has the other address": 3, "other user joins": 1, "objects": 2, "twin": 2,
}

// alternateEdits are those of alternate addresses.
var alternateEdits = map[string]int{"alternate": 4, "alternate moves": 4, "only alternate": 14, "no alternates": 1, "alternate is confirmed": 2}

// apply does what an edit says.
func (c *company) apply(x edit) {
	e, f := pick(c.entries, x.A), pick(c.entries, x.B)
	if e == nil {
		e = c.hire(0, c.address(x.A), 10, true)
		f = e
	}
	u, v := pick(c.users, x.A), pick(c.users, x.B)
	free := c.address(x.B)
	switch x.What {
	case "photo", "former photo":
		e.photo = 10*(1+slices.Index(c.entries, e)) + x.C%5
		if x.What == "photo" {
			e.photo += 1000 * (1 + x.C%50)
		}
		c.put(e)
	case "photo of another":
		e.photo = cmp.Or(f.photo, e.photo)
		c.put(e)
	case "new photos": // of everybody, as after a new export
		for i, e := range c.entries {
			if e.photo != 0 {
				e.photo = 10*(1+i) + 1000*(51+x.C)
				c.put(e)
			}
		}
	case "no photo":
		e.photo = 0
		c.put(e)
	case "leave":
		c.fire(e)
	case "join", "join both":
		if c.ownerIn(0, free) == nil {
			c.hire(0, free, 500_000+c.nextKey+x.C%3*1000, x.What == "join both")
		}
	case "rename", "rename both":
		if c.ownerIn(e.source, free) == nil {
			if x.What == "rename both" {
				c.renameUser(c.userAt(e.own), free)
			}
			c.rename(e, free)
		}
	case "swap", "swap both":
		if x.What == "swap both" {
			c.swapUsers(c.userAt(e.own), c.userAt(f.own))
		}
		c.swapEntries(e, f)
	case "alias":
		e.alias = []string{"", free}[x.C%2]
		c.put(e)
	case "two aliases": // and no user of its own, as after a marriage that Smartsheet does not know of
		e.alias, e.second = free, c.address(x.C)
		c.put(e)
		if u := c.userAt(e.own); u != nil && x.C%2 == 0 {
			c.removeUser(u)
		}
	case "two users": // of former addresses, and none of the present one
		e.alias, e.second = "former1@example.com", "former2@example.com"
		c.put(e)
		c.addUser(e.alias)
		c.addUser(e.second)
		if u := c.userAt(e.own); u != nil {
			c.removeUser(u)
		}
	case "recreate entry":
		if e.twin == 0 {
			c.fire(e)
			c.hire(e.source, e.own, e.photo, false)
		}
	case "hand over":
		if u := c.userAt(e.own); u != nil {
			c.renameUser(u, fmt.Sprintf("old%d@example.com", c.nextID))
			c.addUser(e.own)
		}
	case "second entry":
		if s := len(c.mems) - 1; s > 0 && c.ownerIn(s, e.own) == nil {
			c.hire(s, e.own, 700_000+c.nextKey, false)
		}
	case "other address": // sorted before or after the first
		if c.nextKey++; c.folder == "" {
			e.other = fmt.Sprintf("%s%d@example.com", []string{"a", "z"}[x.C%2], c.nextKey)
		}
		if x.C%5 == 0 {
			e.other = ""
		}
		c.put(e)
	case "other address passes":
		was := e.other
		e.other = ""
		c.put(e)
		f.other = was
		c.put(f)
	case "user has the other address":
		a, b := c.userAt(e.own), c.userAt(e.other)
		switch {
		case e.other == "":
		case b == nil:
			c.renameUser(a, e.other)
		default:
			c.renameUser(b, e.own)
		}
	case "objects":
		e.objects = !e.objects && c.folder == ""
		c.put(e)
	case "twin": // an old account, or a second file
		if c.nextKey++; c.folder == "" {
			t := &entry{source: e.source, own: e.own, photo: []int{0, 800_000 + c.nextKey}[x.C%2], twin: c.nextKey}
			if c.keyed {
				t.key = fmt.Sprint("key", c.nextKey)
			}
			c.entries = append(c.entries, t)
			c.put(t)
		}
	case "other user joins":
		if e.other != "" {
			c.addUser(e.other)
		}
	case "user joins":
		c.addUser(free)
	default:
		c.applyToUser(x, u, v, free)
	}
}

func (c *company) applyToUser(x edit, u, v *account, free string) {
	if u == nil {
		return
	}
	switch x.What {
	case "swap users":
		c.swapUsers(u, v)
	case "user leaves":
		c.removeUser(u)
	case "user renamed":
		c.renameUser(u, free)
	case "user recreated":
		c.removeUser(u)
		c.addUser(u.email)
	case "user status":
		u.active = !u.active
		c.sim.SetStatus(u.email, map[bool]string{true: "ACTIVE", false: "DEACTIVATED"}[u.active])
	case "own picture":
		c.choose(u, x.C)
	case "alternate":
		u.alternates = append(u.alternates, smartsheet.AlternateEmail{Email: free, Confirmed: x.C%3 > 0})
	case "alternate moves":
		if n := len(u.alternates); n > 0 {
			v.alternates = append(v.alternates, u.alternates[n-1])
			u.alternates = u.alternates[:n-1]
		}
	case "only alternate": // as after a marriage that the directory does not know of
		if u.email == free || x.C%2 == 0 {
			free = u.email
		}
		c.renameUser(u, fmt.Sprintf("new%d@example.com", c.nextID))
		c.nextID++
		u.alternates = append(u.alternates, smartsheet.AlternateEmail{Email: free, Confirmed: x.C%5 > 0})
	case "no alternates":
		u.alternates = nil
	case "alternate is confirmed":
		u.alternates = slices.Clone(u.alternates)
		for i := range u.alternates {
			u.alternates[i].Confirmed = true
		}
	default:
		panic(x.What)
	}
}
