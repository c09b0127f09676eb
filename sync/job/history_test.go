package job

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"photosync/sync/plan"
)

// history is everything that happens in one simulated world. The same history gives
// the same course of events.
type history struct {
	Seed         uint64
	People       int
	Sources      int
	Keyed        bool
	Existing     plan.Existing
	RemovedAfter int
	Concurrency  int
	RPM          int
	Excluded     string
	Shard        plan.Shard // a state is that of one
	Alternates   bool       // alternate addresses count
	Backups      bool       // of the state, after each good run
	Nights       []night
}

// night is a run and what happens before and meanwhile. Moments are counted in steps
// of the world: the end of a listing, the reading of photos, and before, between and
// after the two halves of each call to Smartsheet.
type night struct {
	Existing     plan.Existing
	RemovedAfter int
	Mode         string
	Pause        time.Duration // before it
	Edits        []edit        // before it
	Admin        []edit        // what the administrator does before it
	During       []moment
	Faults       []string      // of Smartsheet
	Lost         []int         // which uploads get no answer
	Kill         int           // the step at which the process dies; 0: it lives
	KillOn       string        // or what happens then
	Stop         int           // the step at which a signal comes; 0: none
	Second       int           // the step at which a second process comes; 0: none
	Disk         disk          // what breaks
	Skew         time.Duration // of Smartsheet's clock
	Short        bool          // lists of users leave out the last one
	Broken       int           // the listing of this source is not whole; 0: none
	Quietly      bool          // and there is no error
	Force        bool
	Checksum     bool
	RetryFailed  bool
	Guards       bool
	Shared       bool // of the guards only that of shared pictures
	Approve      bool // if it is held
	Only         string
	Source       string
	Limit        int
	Verify       bool
}

// moment is a step by its number or, the first time, by what happens.
type moment struct {
	At   int
	On   string
	Edit edit
}

// faults of Smartsheet that can be put into a night.
var faults = []string{
	"status:500/4000,count=1", "status:500/4004,every=3", "status:503/4001,count=2", "status:429/4003,count=2",
	"status:403/1004,count=1", "status:400/1128,count=1", "status:400/1074", "status:400/1272", "status:404/1020,count=1", "partial,count=1", "partial,every=2",
	"partial,as=null", "partial,as=null,count=1", "says:PARTIAL_SUCCESS/3,count=1",
	"html,count=1", "empty,count=1", "reset,count=2", "truncate,count=1", "lost,count=1", "lost,every=2", "lost",
	"unreadable,count=1", "unreadable",
	"status:500/4000,op=users,count=1", "status:401/1002,skip=2", "status:503/4001,op=users", "hang,count=1",
	"says:FAILURE/0,count=1", "says:ERROR/0,every=2", "maintenance,for=20m",
}

func newHistory(seed uint64) history {
	r := rand.New(rand.NewPCG(seed, 15))
	chance := func(percent int) bool { return r.IntN(100) < percent }
	h := history{
		Seed: seed, People: 1 + r.IntN(6), Sources: 1, Keyed: chance(60), Concurrency: 1 + r.IntN(4), RPM: 100_000,
		Existing:     pick([]plan.Existing{plan.OnSourceChange, plan.Enforce, plan.RespectUser, plan.FillEmpty}, r.IntN(4)),
		RemovedAfter: pick([]int{0, 0, 1, 2, 3}, r.IntN(5)),
	}
	switch {
	case chance(4):
		h.People = 20 + r.IntN(60)
	case chance(10):
		h.People = 7 + r.IntN(14)
	}
	if chance(30) {
		h.Sources = 2
	}
	if chance(15) {
		h.RPM, h.Concurrency = 1+r.IntN(4), 1 // whose turn it is at the quota is up to the scheduler
	}
	if chance(10) {
		h.Excluded = email(r.IntN(h.People + 1))
	}
	if chance(4) {
		h.Shard = plan.Shard{Index: r.IntN(2), Count: 2}
	}
	h.Alternates, h.Backups = chance(25), chance(25)
	all := editsOf(edits)
	if h.Alternates {
		all = append(all, editsOf(alternateEdits)...)
	}
	deeds := editsOf(deeds)
	someEdit := func() edit {
		return edit{all[r.IntN(len(all))], r.IntN(h.People + 2), r.IntN(h.People + 4), r.IntN(1000)}
	}
	for range 1 + r.IntN(6) {
		n := night{Existing: h.Existing, RemovedAfter: h.RemovedAfter, Mode: Sync, Pause: time.Duration(1+r.IntN(60)) * time.Hour}
		if chance(5) {
			n.Pause = 170 * time.Hour
		}
		if chance(8) {
			n.Existing = pick([]plan.Existing{plan.OnSourceChange, plan.Enforce, plan.RespectUser, plan.FillEmpty}, r.IntN(4))
		}
		for range r.IntN(5) {
			n.Edits = append(n.Edits, someEdit())
		}
		if chance(20) {
			n.Admin = append(n.Admin, edit{deeds[r.IntN(len(deeds))], r.IntN(h.People + 2), r.IntN(len(jumps)), r.IntN(1000)})
		}
		if chance(8) {
			n.Disk = disk{At: 1 + r.IntN(6+6*h.People), For: r.IntN(4), How: pick(diskFaults, r.IntN(len(diskFaults)))}
		}
		if n.Disk.Backup = h.Backups && chance(15); chance(10) {
			n.Skew = jumps[r.IntN(len(jumps))]
		}
		n.Short = chance(3)
		steps := 8 + 4*h.People
		if chance(35) {
			for range 1 + r.IntN(3) {
				n.During = append(n.During, moment{At: 1 + r.IntN(steps), Edit: someEdit()})
			}
		}
		if n.Short { // its pages show some users twice, and the first look at each counts
			n.During = nil
		}
		if chance(25) {
			n.Faults = append(n.Faults, faults[r.IntN(len(faults))])
		}
		if chance(6) { // nobody learns whether a picture arrived
			who := email(r.IntN(h.People))
			n.Faults = append(n.Faults, pick([]string{"lost", "lost,user=" + who, "reset,user=" + who}, r.IntN(3)), "status:500/4000,op=user", "status:500/4000,op=users,skip=1")
		}
		if chance(15) {
			n.Lost = append(n.Lost, 1+r.IntN(2*h.People))
		}
		if chance(20) {
			n.Kill = 1 + r.IntN(steps)
		}
		if chance(10) {
			n.Stop = 1 + r.IntN(steps)
		}
		if chance(3) {
			n.Second = 1 + r.IntN(steps)
		}
		if chance(6) {
			n.Broken, n.Quietly = 1+r.IntN(h.Sources), chance(50)
		}
		switch {
		case chance(4):
			n.Mode = Plan
		case chance(4):
			n.Mode = Apply
		}
		n.Force, n.Checksum, n.RetryFailed, n.Guards = chance(4), chance(6), chance(6), chance(15)
		n.Approve = n.Guards && chance(50)
		if chance(5) {
			n.Only = email(r.IntN(h.People))
		}
		if chance(5) {
			n.Limit = 1 + r.IntN(3)
		}
		n.Verify = chance(4)
		h.Nights = append(h.Nights, n)
	}
	if h.Alternates && chance(40) { // what is remembered is of the future, and has become false
		who, plain := r.IntN(h.People), night{Existing: h.Existing, RemovedAfter: h.RemovedAfter, Mode: Sync, Pause: time.Hour}
		before, after := plain, plain
		before.Edits = []edit{{"only alternate", who, who, 2}}
		after.Edits = []edit{{"alternate moves", who, r.IntN(h.People + 2), 0}, {"photo", who, 0, r.IntN(1000)}}
		after.Admin = []edit{{"clock", 0, r.IntN(3), 0}}
		h.Nights = append(h.Nights, before, after)
	}
	return h
}

// shrink leaves out of a history whatever is not needed for the same promise to break.
func shrink(t *testing.T, h history, faults, log []string) (history, []string, []string) {
	promise := promiseOf(faults[0])
	for again := true; again; {
		again = false
		for _, smaller := range h.smaller() {
			f, l := play(t, smaller)
			if len(f) > 0 && promiseOf(f[0]) == promise {
				h, faults, log, again = smaller, f, l, true
				break
			}
		}
	}
	return h, faults, log
}

func promiseOf(fault string) string {
	promise, _, _ := strings.Cut(fault, "\n")
	return promise
}

// smaller are the histories that leave one thing out.
func (h history) smaller() (all []history) {
	with := func(change func(*history)) {
		x := h
		x.Nights = slices.Clone(h.Nights)
		change(&x)
		all = append(all, x)
	}
	for i := range h.Nights {
		with(func(x *history) { x.Nights = slices.Delete(x.Nights, i, i+1) })
	}
	for _, people := range []int{1, 2, 3, 5, 10} {
		if people < h.People {
			with(func(x *history) { x.People = people })
		}
	}
	if h.Sources > 1 {
		with(func(x *history) { x.Sources = 1 })
	}
	if h.Concurrency > 1 {
		with(func(x *history) { x.Concurrency = 1 })
	}
	if h.RPM < 1000 {
		with(func(x *history) { x.RPM = 100_000 })
	}
	if h.Excluded != "" {
		with(func(x *history) { x.Excluded = "" })
	}
	if h.Shard.Count > 0 {
		with(func(x *history) { x.Shard = plan.Shard{} })
	}
	if h.Alternates {
		with(func(x *history) { x.Alternates = false })
	}
	if h.Backups {
		with(func(x *history) { x.Backups = false })
	}
	if h.RemovedAfter > 0 {
		with(func(x *history) {
			x.RemovedAfter = 0
			for i := range x.Nights {
				x.Nights[i].RemovedAfter = 0
			}
		})
	}
	for i, n := range h.Nights {
		that := func(change func(*night)) {
			with(func(x *history) { change(&x.Nights[i]) })
		}
		for k := range n.Edits {
			that(func(n *night) { n.Edits = slices.Delete(slices.Clone(n.Edits), k, k+1) })
		}
		for k := range n.Admin {
			that(func(n *night) { n.Admin = slices.Delete(slices.Clone(n.Admin), k, k+1) })
		}
		for k := range n.During {
			that(func(n *night) { n.During = slices.Delete(slices.Clone(n.During), k, k+1) })
		}
		for _, one := range []struct {
			set   bool
			clear func(*night)
		}{
			{len(n.Faults) > 0, func(n *night) { n.Faults = nil }}, {len(n.Lost) > 0, func(n *night) { n.Lost = nil }},
			{n.Kill > 0, func(n *night) { n.Kill = 0 }}, {n.Stop > 0, func(n *night) { n.Stop = 0 }}, {n.Second > 0, func(n *night) { n.Second = 0 }},
			{n.Disk != disk{}, func(n *night) { n.Disk = disk{} }}, {n.Skew != 0, func(n *night) { n.Skew = 0 }}, {n.Short, func(n *night) { n.Short = false }},
			{n.Broken > 0, func(n *night) { n.Broken = 0 }}, {n.Force, func(n *night) { n.Force = false }},
			{n.Checksum, func(n *night) { n.Checksum = false }}, {n.RetryFailed, func(n *night) { n.RetryFailed = false }},
			{n.Guards, func(n *night) { n.Guards = false }}, {n.Approve, func(n *night) { n.Approve = false }},
			{n.Only != "", func(n *night) { n.Only = "" }}, {n.Limit > 0, func(n *night) { n.Limit = 0 }},
			{n.Verify, func(n *night) { n.Verify = false }},
			{n.Mode != Sync, func(n *night) { n.Mode = Sync }}, {n.Existing != h.Existing, func(n *night) { n.Existing = h.Existing }},
			{n.Pause != time.Hour, func(n *night) { n.Pause = time.Hour }},
		} {
			if one.set {
				that(one.clear)
			}
		}
	}
	return all
}
