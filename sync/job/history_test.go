package job

import (
	"fmt"
	"maps"
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
	Unknown      bool       // listings do not say who has a photo
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
	Settings     int    // of images, other ones for one run
	Excluded     string // for one run, instead of the world's
	Unreadable   string // the address of an entry whose photo cannot be read
	Denied       bool   // because the source denies it
	Corp         bool   // the sources list corp.local in place of example.com
	Rewrite      bool   // match.domains makes example.com of corp.local
	Without      bool   // alternate addresses do not count
	Order        int    // of two sources: 0 as always, 1 the other way round, 2 the first alone, 3 the second alone
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

// odds say how often something happens in a world. They are drawn for each world: what
// many of them leave out comes together all the more often in others.
type odds struct {
	*rand.Rand
	times map[string]int
}

// chance is percent, in the mean; what: the thing that happens.
func (o odds) chance(what string, percent int) bool {
	if _, drawn := o.times[what]; !drawn {
		o.times[what] = pick([]int{0, 0, 1, 1, 3}, o.IntN(5))
	}
	return o.IntN(100) < min(percent*o.times[what], 75)
}

// some are some of all, each as often as it is there.
func (o odds) some(all map[string]int) (some []string) {
	leaveOut := o.IntN(80)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if o.IntN(100) >= leaveOut {
			some = append(some, slices.Repeat([]string{name}, all[name])...)
		}
	}
	return some
}

var policies = []plan.Existing{plan.OnSourceChange, plan.Enforce, plan.RespectUser, plan.FillEmpty}

func newHistory(seed uint64) history {
	r := odds{rand.New(rand.NewPCG(seed, 15)), map[string]int{}}
	h := history{
		Seed: seed, People: 1 + r.IntN(6), Sources: 1 + r.IntN(100)/70, Keyed: r.IntN(100) < 60, Concurrency: 1 + r.IntN(4), RPM: 100_000,
		Existing:     pick(policies, r.IntN(4)),
		RemovedAfter: pick([]int{0, 0, 1, 2, 3}, r.IntN(5)),
		Alternates:   r.IntN(4) == 0, Backups: r.IntN(4) == 0,
	}
	switch {
	case r.chance("many", 4):
		h.People = 20 + r.IntN(60)
	case r.chance("several", 10):
		h.People = 7 + r.IntN(14)
	}
	if r.chance("small quota", 15) {
		h.RPM, h.Concurrency = 1+r.IntN(4), 1 // whose turn it is at the quota is up to the scheduler
	}
	if r.chance("excluded", 10) {
		h.Excluded = email(r.IntN(h.People + 1))
	}
	h.Unknown = r.chance("unknown", 10)
	if r.chance("shard", 4) {
		h.Shard = plan.Shard{Index: r.IntN(2), Count: 2}
	}
	edits := r.some(edits)
	if h.Alternates {
		edits = append(edits, r.some(alternateEdits)...)
	}
	deeds, broken := r.some(deeds), slices.Clone(faults)
	r.Shuffle(len(broken), func(i, k int) { broken[i], broken[k] = broken[k], broken[i] })
	broken = broken[:1+r.IntN(len(broken))]
	for range 1 + r.IntN(6) {
		h.Nights = append(h.Nights, h.newNight(r, edits, deeds, broken))
	}
	who, plain := r.IntN(h.People), night{Existing: h.Existing, RemovedAfter: h.RemovedAfter, Mode: Sync, Pause: time.Hour}
	before, after := plain, plain
	switch {
	case h.Alternates && r.chance("alternate of the future", 40): // what is remembered is of the future, and has become false
		before.Edits = []edit{{"only alternate", who, who, 2}}
		after.Edits = []edit{{"alternate moves", who, r.IntN(h.People + 2), 0}, {"photo", who, 0, r.IntN(1000)}}
		if r.IntN(2) == 0 { // or has become true
			before.Edits[0].C = 10
			after.Edits = []edit{{"alternate is confirmed", who, 0, 0}}
		}
		after.Admin = []edit{{"clock", 0, r.IntN(3), 0}}
	case r.chance("policy after a kill", 10): // a picture that was to be replaced, and is to stay now
		before.Existing, before.KillOn = plan.OnSourceChange, "upload"
		before.Edits = []edit{{"own picture", who, 0, r.IntN(1000)}, {"photo", who, 0, r.IntN(1000)}}
		after.Existing = pick([]plan.Existing{plan.RespectUser, plan.FillEmpty}, r.IntN(2))
	default:
		return h
	}
	h.Nights = append(h.Nights, before, after)
	return h
}

func (h *history) newNight(r odds, edits, deeds, broken []string) night {
	n := night{Existing: h.Existing, RemovedAfter: h.RemovedAfter, Mode: Sync, Pause: time.Duration(1+r.IntN(60)) * time.Hour}
	steps := 8 + 4*h.People
	one := func(names []string) (all []edit) { // or none
		if len(names) > 0 {
			all = append(all, edit{pick(names, r.IntN(len(names))), r.IntN(h.People + 2), r.IntN(h.People + 4), r.IntN(1000)})
		}
		return all
	}
	if r.chance("a week", 5) {
		n.Pause = 170 * time.Hour
	}
	if r.chance("policy", 8) {
		n.Existing = pick(policies, r.IntN(4))
	}
	for range r.IntN(5) {
		n.Edits = append(n.Edits, one(edits)...)
	}
	if r.chance("deed", 20) {
		n.Admin = one(deeds)
		for i := range n.Admin {
			n.Admin[i].B = r.IntN(len(jumps))
		}
	}
	if r.chance("disk", 8) {
		n.Disk = disk{At: 1 + r.IntN(6+6*h.People), For: r.IntN(4), How: pick(diskFaults, r.IntN(len(diskFaults)))}
	}
	n.Disk.Backup = h.Backups && r.chance("backup", 15)
	if r.chance("skew", 10) {
		n.Skew = jumps[r.IntN(len(jumps))]
	}
	n.Short = r.chance("short", 3)
	if r.chance("during", 35) && !n.Short { // pages that overlap show some users twice, and the first look at each counts
		for range 1 + r.IntN(3) {
			for _, e := range one(edits) {
				n.During = append(n.During, moment{At: 1 + r.IntN(steps), Edit: e})
			}
		}
	}
	if r.chance("fault", 25) {
		n.Faults = append(n.Faults, pick(broken, r.IntN(len(broken))))
	}
	if r.chance("nobody learns", 6) { // whether a picture arrived
		who := email(r.IntN(h.People))
		n.Faults = append(n.Faults, pick([]string{"lost", "lost,user=" + who, "reset,user=" + who}, r.IntN(3)), "status:500/4000,op=user", "status:500/4000,op=users,skip=1")
	}
	if r.chance("lost", 15) {
		n.Lost = append(n.Lost, 1+r.IntN(2*h.People))
	}
	if r.chance("kill", 20) {
		n.Kill = 1 + r.IntN(steps)
	}
	if r.chance("stop", 10) {
		n.Stop = 1 + r.IntN(steps)
	}
	if r.chance("second", 3) {
		n.Second = 1 + r.IntN(steps)
	}
	if r.chance("broken", 6) {
		n.Broken, n.Quietly = 1+r.IntN(h.Sources), r.IntN(2) == 0
	}
	switch {
	case r.chance("plan", 4):
		n.Mode = Plan
	case r.chance("apply", 4):
		n.Mode = Apply
	}
	n.Force, n.Checksum, n.RetryFailed = r.chance("force", 4), r.chance("checksum", 6), r.chance("retry", 6)
	n.Guards = r.chance("guards", 15)
	n.Approve = n.Guards && r.IntN(2) == 0
	if r.chance("only", 5) {
		n.Only = email(r.IntN(h.People))
	}
	if r.chance("limit", 5) {
		n.Limit = 1 + r.IntN(3)
	}
	n.Verify = r.chance("verify", 4)
	if r.chance("settings", 8) {
		n.Settings = 1 + r.IntN(2)
	}
	if r.chance("excluded for once", 6) {
		n.Excluded = email(r.IntN(h.People + 1))
	}
	if r.chance("source", 4) {
		n.Source = fmt.Sprint("source", r.IntN(h.Sources))
	}
	n.Corp, n.Rewrite, n.Without = r.chance("corp", 10), r.chance("rewrite", 30), r.chance("without", 10)
	if r.chance("order", 15) {
		n.Order = r.IntN(4)
	}
	if r.chance("unreadable", 8) {
		n.Unreadable, n.Denied = email(r.IntN(h.People)), r.IntN(2) == 0
	}
	return n
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
	if h.Unknown {
		with(func(x *history) { x.Unknown = false })
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
			{n.Verify, func(n *night) { n.Verify = false }}, {n.Settings > 0, func(n *night) { n.Settings = 0 }},
			{n.Excluded != "", func(n *night) { n.Excluded = "" }}, {n.Source != "", func(n *night) { n.Source = "" }},
			{n.Corp, func(n *night) { n.Corp = false }}, {n.Rewrite, func(n *night) { n.Rewrite = false }}, {n.Without, func(n *night) { n.Without = false }},
			{n.Order > 0, func(n *night) { n.Order = 0 }}, {n.Unreadable != "", func(n *night) { n.Unreadable = "" }},
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
