package job

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"photosync/sources"
	"photosync/sources/folder"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// company is the world outside of the program: the entries of the sources and the
// accounts in Smartsheet, as they are now. Photos are numbers, see picture.
type company struct {
	keyed   bool // entries keep their key when they are renamed; otherwise the address is all there is
	mems    []*Memory
	entries []*entry
	sim     *simulator.Server
	users   []*account
	nextID  int64
	nextKey int
	folder  string // of the photos, instead of mems[0]; empty: none
	written int

	objected []string // addresses that were ever left out
}

func (c *company) source(i int) sources.Source {
	if c.folder != "" {
		return folder.New(folder.Options{Path: c.folder})
	}
	return c.mems[i]
}

var errUnreadable = errors.New("this photo cannot be read")

// answerAs sets how the sources list and read in a night.
func (c *company) answerAs(n *night, unknown bool) {
	for _, m := range c.mems {
		m.Unknown, m.ReadErr = unknown, map[string]error{}
		if m.ReadErr[n.Unreadable] = errUnreadable; n.Denied {
			m.ReadErr[n.Unreadable] = sources.ErrDenied
		}
	}
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
	other  string // another own address, that nobody else has; "": none
	photo  int    // 0: none

	objects bool // exclude_filter leaves the entry out
	twin    int  // >0: another entry has the same address
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
		c.mems = append(c.mems, &Memory{})
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
	x := Entry{Key: e.key, Ref: e.ref(), Own: e.addresses()}
	for _, a := range []string{e.alias, e.second} {
		if a != "" && a != e.own && !slices.Contains(x.Aliases, a) {
			x.Aliases = append(x.Aliases, a)
		}
	}
	if e.photo != 0 {
		x.Photo = picture(e.photo)
	}
	if e.objects {
		c.drop(e)
	} else {
		c.mems[e.source].Set(x)
	}
	c.reserve()
}

// reserve lists the addresses of the entries that are left out.
func (c *company) reserve() {
	for i, m := range c.mems {
		reserved := []string{}
		for _, e := range c.entries {
			if e.source == i && e.objects {
				reserved = append(reserved, slices.DeleteFunc(append(e.addresses(), e.alias, e.second), func(a string) bool { return a == "" })...)
			}
		}
		if slices.Sort(reserved); len(reserved) > 0 || len(c.objected) > 0 {
			m.Reserved = slices.Compact(reserved)
			c.objected = append(c.objected, reserved...)
		}
	}
}

// addresses are the own ones of an entry.
func (e *entry) addresses() []string {
	return slices.DeleteFunc([]string{e.own, e.other}, func(a string) bool { return a == "" })
}

func (c *company) take(e *entry) {
	if c.folder != "" {
		c.file(e.own, 0)
		return
	}
	c.drop(e)
	c.reserve()
}

func (c *company) drop(e *entry) { delete(c.mems[e.source].entries, cmp.Or(e.key, e.ref())) }

// ref is how the source names the entry.
func (e *entry) ref() string {
	switch {
	case e.key != "":
		return "mem/" + e.key
	case e.twin > 0:
		return fmt.Sprintf("mem/%s %d", e.own, e.twin)
	}
	return "mem/" + e.own
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
		if e.source == source && slices.Contains(e.addresses(), address) {
			return e
		}
	}
	return nil
}

// photoOf reports whether an entry with this own address has a photo.
func (c *company) photoOf(address string) bool {
	return slices.ContainsFunc(c.entries, func(e *entry) bool { return slices.Contains(e.addresses(), address) && e.photo != 0 && !e.objects })
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

// alone reports whether a user has an address, and no other active one does.
func (c *company) alone(id int64, email string) bool {
	u := c.user(id)
	return u != nil && u.email == email && !slices.ContainsFunc(c.users, func(o *account) bool { return o != u && o.active && o.email == email })
}

// anybodyAt reports whether a user has one of the addresses.
func (c *company) anybodyAt(addresses []string) bool {
	return slices.ContainsFunc(addresses, func(a string) bool { return c.userAt(a) != nil })
}

// active counts the active users with one of the addresses.
func (c *company) active(addresses []string) (n int) {
	for _, u := range c.users {
		if u.active && slices.Contains(addresses, u.email) {
			n++
		}
	}
	return n
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

// spell returns addresses as the sources list them.
func (n *night) spell(addresses []string) (as []string) {
	if !n.Corp || addresses == nil {
		return addresses
	}
	for _, a := range addresses {
		as = append(as, strings.Replace(a, "@example.com", "@corp.local", 1))
	}
	return as
}

// domains are match.domains.
func (n *night) domains() map[string]string {
	if !n.Rewrite {
		return nil
	}
	return map[string]string{"corp.local": "example.com"}
}

// alternates reports whether alternate addresses count in this run.
func (w *world) alternates() bool { return w.h.Alternates && !w.o.night.Without }

// sources are the configured ones, by precedence.
func (n *night) sources(all int) []int {
	if all == 1 {
		return []int{0}
	}
	return [...][]int{{0, 1}, {1, 0}, {0}, {1}}[n.Order]
}
