package job

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"photosync/sources"
	"photosync/sources/folder"
	"photosync/sources/sourcetest"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// company is the world outside of the program: the entries of the sources and the
// accounts in Smartsheet, as they are now. Photos are numbers, see picture.
type company struct {
	keyed   bool // entries keep their key when they are renamed; otherwise the address is all there is
	mems    []*sourcetest.Memory
	entries []*entry
	sim     *simulator.Server
	users   []*account
	nextID  int64
	nextKey int
	folder  string // of the photos, instead of mems[0]; empty: none
	written int
}

func (c *company) source(i int) sources.Source {
	if c.folder != "" {
		return folder.New(folder.Options{Path: c.folder})
	}
	return c.mems[i]
}

// file writes or removes the photo of an entry in the folder.
func (c *company) file(own string, photo int) {
	name := filepath.Join(c.folder, own+".png")
	if photo == 0 {
		os.Remove(name) // there may be none
		return
	}
	c.written++
	at := time.Now().Add(-time.Hour + time.Duration(c.written)*time.Second)
	if err := errors.Join(os.WriteFile(name, picture(photo), 0o600), os.Chtimes(name, at, at)); err != nil {
		panic(err)
	}
}

// entry is somebody in a source.
type entry struct {
	source int
	key    string
	own    string
	alias  string // "": none
	second string // another alias; "": none
	photo  int    // 0: none
}

// account is a user of Smartsheet.
type account struct {
	id     int64
	email  string
	active bool
	image  string // id of the picture; "": none
	photo  int    // which picture it is; initials: ours, drawn
	ours   bool   // we put it there
	chosen int    // how many pictures the user set

	alternates []smartsheet.AlternateEmail
}

const (
	initials = -1
	unsure   = -2      // it is there after an upload that nobody answered
	ownPhoto = 1 << 20 // from here on: pictures that users set themselves
)

// photoOf is the number of a picture.
func photoOf(data []byte) int {
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil || img.Bounds().Dx() != 2 {
		return initials
	}
	r, g, b, _ := img.At(0, 0).RGBA()
	return int(r>>8 | g>>8<<8 | b>>8<<16)
}

func newCompany(sourceCount int, keyed bool, o simulator.Options) *company {
	c := &company{keyed: keyed, sim: simulator.New(o), nextID: 1000}
	for range sourceCount {
		c.mems = append(c.mems, &sourcetest.Memory{})
	}
	return c
}

// hire adds an entry and, if smartsheet, an account with the same address.
func (c *company) hire(source int, own string, photo int, account bool) *entry {
	c.nextKey++
	e := &entry{source: source, own: own, photo: photo}
	if c.keyed {
		e.key = fmt.Sprint("key", c.nextKey)
	}
	c.entries = append(c.entries, e)
	c.put(e)
	if account {
		c.addUser(own)
	}
	return e
}

func (c *company) put(e *entry) {
	if c.folder != "" {
		c.file(e.own, e.photo)
		return
	}
	x := sourcetest.Entry{Key: e.key, Own: []string{e.own}}
	if c.keyed {
		x.Ref = "mem/" + e.key
	}
	for _, a := range []string{e.alias, e.second} {
		if a != "" && a != e.own && !slices.Contains(x.Aliases, a) {
			x.Aliases = append(x.Aliases, a)
		}
	}
	if e.photo != 0 {
		x.Photo = picture(e.photo)
	}
	c.mems[e.source].Set(x)
}

func (c *company) take(e *entry) {
	if c.folder != "" {
		c.file(e.own, 0)
		return
	}
	c.mems[e.source].Remove(e.own)
}

func (c *company) fire(e *entry) {
	c.entries = slices.DeleteFunc(c.entries, func(x *entry) bool { return x == e })
	c.take(e)
	for _, x := range c.entries { // another entry with the same address was taken out, too
		if x.source == e.source && x.own == e.own {
			c.put(x)
		}
	}
}

// rename gives an entry another address; without a key it is another entry then.
func (c *company) rename(e *entry, to string) {
	c.take(e)
	was := e.own
	e.own = to
	c.put(e)
	for _, x := range c.entries {
		if x != e && x.source == e.source && x.own == was {
			c.put(x)
		}
	}
}

// ownerIn is the entry of a source with this own address, or nil.
func (c *company) ownerIn(source int, address string) *entry {
	for _, e := range c.entries {
		if e.source == source && e.own == address {
			return e
		}
	}
	return nil
}

// photoOf reports whether an entry with this own address has a photo.
func (c *company) photoOf(address string) bool {
	return slices.ContainsFunc(c.entries, func(e *entry) bool { return e.own == address && e.photo != 0 })
}

func (c *company) addUser(email string) {
	if c.userAt(email) != nil {
		return
	}
	c.nextID++
	c.sim.AddUser(smartsheet.User{ID: c.nextID, Email: email})
	c.users = append(c.users, &account{id: c.nextID, email: email, active: true})
}

func (c *company) removeUser(u *account) {
	c.sim.RemoveUser(u.email)
	c.users = slices.DeleteFunc(c.users, func(x *account) bool { return x == u })
}

func (c *company) userAt(email string) *account {
	for _, u := range c.users {
		if u.email == email {
			return u
		}
	}
	return nil
}

func (c *company) user(id int64) *account {
	for _, u := range c.users {
		if u.id == id {
			return u
		}
	}
	return nil
}

func (c *company) renameUser(u *account, to string) {
	if u != nil && c.userAt(to) == nil {
		c.sim.Rename(u.email, to)
		u.email = to
	}
}

func (c *company) swapUsers(u, v *account) {
	if u == nil || v == nil || u == v {
		return
	}
	a, b := u.email, v.email
	c.renameUser(u, "swap@example.com")
	c.renameUser(v, a)
	c.renameUser(u, b)
}

func (c *company) swapEntries(e, f *entry) {
	if e == nil || f == nil || e.own == f.own || e.source != f.source {
		return
	}
	if c.keyed {
		e.own, f.own = f.own, e.own
	} else { // files are renamed: the photos change places
		e.photo, f.photo = f.photo, e.photo
	}
	c.put(e)
	c.put(f)
}

// choose is a user setting a picture of their own.
func (c *company) choose(u *account, n int) {
	if u == nil {
		return
	}
	u.photo, u.ours = ownPhoto+n, false
	u.chosen++
	c.sim.SetImage(u.email, picture(u.photo))
	img, _ := c.sim.Image(u.email)
	u.image = img.ID
}

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
	"hand over": 2, "second entry": 1,
}

// alternateEdits are those of alternate addresses.
var alternateEdits = map[string]int{"alternate": 4, "alternate moves": 4, "only alternate": 14, "no alternates": 1, "alternate is confirmed": 2}

// editsOf are the names of edits, each as often as it happens.
func editsOf(edits map[string]int) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(edits)) {
		all = append(all, slices.Repeat([]string{name}, edits[name])...)
	}
	return all
}

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
	case "recreate entry":
		c.fire(e)
		c.hire(e.source, e.own, e.photo, false)
	case "hand over":
		if u := c.userAt(e.own); u != nil {
			c.renameUser(u, fmt.Sprintf("old%d@example.com", c.nextID))
			c.addUser(e.own)
		}
	case "second entry":
		if s := len(c.mems) - 1; s > 0 && c.ownerIn(s, e.own) == nil {
			c.hire(s, e.own, 700_000+c.nextKey, false)
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
