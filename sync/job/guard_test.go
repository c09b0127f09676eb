package job

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"photosync/sources"
	"photosync/sources/folder"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

var strict = plan.Guards{
	MaxReplaced: plan.Limit{N: 20, Percent: true}, MaxRemoved: plan.Limit{N: 5, Percent: true},
	MinListed: plan.Limit{N: 80, Percent: true}, MinPeople: 10, MaxShared: 10,
}

func guarded(o *Job) { o.Policy.Guards = &strict }

func approve(id string) func(*Job) {
	return func(o *Job) { o.Policy.Guards, o.How.Approve = &strict, id }
}

// held runs and demands that nothing was written; it returns the report.
func (b *bench) held(change func(*Job), guards ...string) *report.Report {
	b.t.Helper()
	uploads, generation := b.sim.Counts().ByOp["upload"], b.st.Generation()
	r, err := b.run(b.t.Context(), 1_000_000, change)
	if !Held(err) || r.Result != report.Held || outcome.Hint(err) == "" {
		b.t.Fatalf("error %v, result %q; want a held run", err, r.Result)
	}
	var broken []string
	for _, g := range r.Guards {
		broken = append(broken, g.Guard)
	}
	if fmt.Sprint(broken) != fmt.Sprint(guards) {
		b.t.Errorf("held by %v, want %v", r.Guards, guards)
	}
	if n := b.sim.Counts().ByOp["upload"]; n != uploads || b.st.Generation() != generation {
		b.t.Errorf("a held run wrote: %d uploads", n-uploads)
	}
	return r
}

// approveOnce lets the plan of a held run pass, and demands that this works once: started
// again, the same command finds nothing to do, and approves nothing else.
func (b *bench) approveOnce(r *report.Report) *report.Report {
	b.t.Helper()
	done := b.must(approve(r.PlanID))
	if again := b.must(approve(r.PlanID)); again.Totals.Uploaded != 0 {
		b.t.Errorf("the same approval again: %+v", again.Totals)
	}
	b.mem.Put("somebody@example.com", picture(4711))
	b.sim.AddUser(smartsheet.User{Email: "somebody@example.com"})
	b.held(approve(r.PlanID))
	b.mem.Remove("somebody@example.com")
	b.sim.RemoveUser("somebody@example.com")
	if quiet := b.must(guarded); quiet.Result != report.NothingToDo && quiet.Totals.People > 0 { // nobody at all is a finding
		b.t.Errorf("the run after the approved one: %+v", quiet.Totals)
	}
	return done
}

// A directory that suddenly lists 3 % of its entries.
func TestHeldShortListing(t *testing.T) {
	b := newBench(t, 100, simulator.Options{})
	b.must(guarded) // a first run is not held
	for i := 3; i < 100; i++ {
		b.mem.Remove(email(i))
	}
	r := b.held(guarded, "max_removed", "min_listed")
	if again := b.held(guarded, "max_removed", "min_listed"); again.PlanID != r.PlanID {
		t.Errorf("the same plan is %s and then %s", r.PlanID, again.PlanID)
	}
	// Who approved another plan sees what the guards say of this one.
	if other := b.held(approve("another"), "max_removed", "min_listed"); other.PlanID != r.PlanID {
		t.Errorf("the same plan is %s and then %s", r.PlanID, other.PlanID)
	}
	b.approveOnce(r)
	if n := b.sim.Counts().ByOp["upload"]; n != 100 {
		t.Errorf("%d uploads, want those of the first run alone", n)
	}
	// They come back: their pictures are still there.
	for i := 3; i < 100; i++ {
		b.mem.Put(email(i), picture(i))
	}
	if r := b.must(nil); r.Totals.Uploaded != 0 || r.Totals.Unchanged != 100 {
		t.Errorf("totals %+v, skipped %v", r.Totals, r.SkippedByReason)
	}
}

// An export that replaces everybody's picture.
func TestHeldReplacement(t *testing.T) {
	b := newBench(t, 100, simulator.Options{})
	b.must(guarded)
	for i := range 100 {
		b.mem.Put(email(i), picture(1000+i))
	}
	r := b.held(guarded, "max_replaced")
	if r.Totals.Held != 100 || r.Items[0].Outcome != "held" {
		t.Errorf("totals %+v, item %+v", r.Totals, r.Items[0])
	}
	if p := b.must(func(o *Job) { guarded(o); o.How.Mode = Plan }); p.PlanID != r.PlanID || len(p.Guards) != 1 {
		t.Errorf("plan %s with guards %v, want %s", p.PlanID, p.Guards, r.PlanID)
	}
	b.held(approve("0123456789ab"), "max_replaced") // not this plan
	b.mem.Put(email(7), picture(5007))
	moved := b.held(approve(r.PlanID), "max_replaced") // and this plan no more
	b.sim.SetImage(email(8), picture(6008))            // the user's own: not what was approved
	moved = b.held(approve(moved.PlanID), "max_replaced")
	b.held(func(o *Job) { approve(moved.PlanID)(o); o.Photos.MaxEdge = 16 }, "max_replaced") // other pictures than those shown
	if done := b.approveOnce(moved); done.Totals.Uploaded != 100 {
		t.Errorf("totals %+v", done.Totals)
	}
}

// An approval is of what Smartsheet showed, too: a user who chose a picture since keeps it.
func TestApprovalAndPictureChosenSince(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	b.must(guarded)
	for i := range 12 {
		b.mem.Put(email(i), picture(500+i))
	}
	hold := func(approve string) string {
		r, err := b.run(t.Context(), 1_000_000, func(o *Job) { guarded(o); o.How.Approve = approve })
		if !Held(err) || r.Totals.Uploaded > 0 {
			t.Fatalf("approved %q: %v, %d uploaded", approve, err, r.Totals.Uploaded)
		}
		return r.PlanID
	}
	id := hold("")
	if again := hold(""); again != id {
		t.Errorf("nothing moved, and the plan is %s, not %s", again, id)
	}
	b.sim.SetImage(email(0), picture(900))
	id = hold(id)
	if r := b.must(func(o *Job) { guarded(o); o.How.Approve = id }); r.Totals.Uploaded != 12 {
		t.Errorf("approved anew: %d uploaded", r.Totals.Uploaded)
	}
}

// New image settings that change none of the pictures that would be sent hold nothing.
func TestSamePicturesAreNotHeld(t *testing.T) {
	b := newBench(t, 40, simulator.Options{})
	b.must(guarded)
	smaller := func(o *Job) { guarded(o); o.Photos.MaxEdge = 1000 }
	if p := b.must(func(o *Job) { smaller(o); o.How.Mode = Plan }); len(p.Guards) != 0 {
		t.Errorf("the plan names guards: %+v", p.Guards)
	}
	b.held(func(o *Job) { smaller(o); o.Scope.Limit = 12 }, "max_replaced") // the others were not prepared
	r := b.must(func(o *Job) { smaller(o); o.Scope.Limit = 50 })
	if r.Totals.Uploaded != 0 || r.SkippedByReason["same_picture"] != 40 || len(r.Guards) != 0 {
		t.Errorf("%s, %+v, guards %+v", r.Result, r.Totals, r.Guards)
	}
	if r := b.must(smaller); r.Totals.Unchanged != 40 || r.Totals.Requests != 1 {
		t.Errorf("the next night: %+v", r.Totals)
	}
	for i := range 20 {
		b.mem.Put(email(i), picture(1000+i))
	}
	for i := range 5 { // these cannot be sent
		b.mem.Put(email(i), fmt.Appendf(nil, "text %d", i))
	}
	even := func(o *Job) { guarded(o); o.Photos.MaxEdge = 900 }
	if r := b.held(even, "max_replaced"); r.Totals.Held != 15 || !strings.HasPrefix(r.Guards[0].Message, "15 of 40") {
		t.Errorf("%+v, %+v", r.Totals, r.Guards)
	}
}

// hiccup is a source whose photos are all gone but for the first call for them.
type hiccup struct {
	sources.Source
	calls  atomic.Int32
	cancel func() // instead: it is called then, and nothing is gone
}

func (h *hiccup) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	again := h.calls.Add(1) > 1
	if again && h.cancel != nil {
		h.cancel()
	}
	if !again || h.cancel != nil {
		return h.Source.Photos(ctx, refs, each)
	}
	for _, r := range refs {
		if err := each(sources.Photo{Ref: r, Err: sources.ErrGone}); err != nil {
			return err
		}
	}
	return nil
}

// A source that cannot be read while a held plan is prepared lets nothing pass.
func TestUnreadableWhileHeld(t *testing.T) {
	b := newBench(t, 40, simulator.Options{})
	b.must(guarded)
	for i := range 40 {
		b.mem.Put(email(i), picture(1000+i))
	}
	r := b.held(func(o *Job) {
		guarded(o)
		o.Sources[0].Source = &hiccup{Source: o.Sources[0].Source}
	}, "max_replaced")
	if !strings.HasPrefix(r.Guards[0].Message, "40 of 40") {
		t.Errorf("%+v", r.Guards)
	}
}

// A held run stays one, also if its time is over while its pictures are prepared.
func TestHeldWithoutTime(t *testing.T) {
	b := newBench(t, 40, simulator.Options{})
	b.must(guarded)
	for i := range 40 {
		b.mem.Put(email(i), picture(1000+i))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := b.run(ctx, 1_000_000, func(o *Job) {
		guarded(o)
		o.Sources[0].Source = &hiccup{Source: o.Sources[0].Source, cancel: func() { cancel(ErrMaxDuration) }}
	})
	if !Held(err) || r.Result != report.Held || r.PlanID == "" || len(r.Guards) != 1 || r.Totals.Uploaded != 0 {
		t.Errorf("%s, error %v, guards %v, %+v", r.Result, err, r.Guards, r.Totals)
	}
}

// People whose files name nobody any more have newly lost their photo: once.
func TestHeldNameless(t *testing.T) {
	for _, after := range []int{0, 3} {
		b := newBench(t, 120, simulator.Options{})
		dir := t.TempDir()
		for i := range 120 {
			sub := filepath.Join(dir, map[bool]string{true: "sales", false: "."}[i < 15])
			if err := errors.Join(os.MkdirAll(sub, 0o700), os.WriteFile(filepath.Join(sub, email(i)+".png"), picture(i), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		from := func(recursive bool, approve string) func(*Job) {
			return func(o *Job) {
				guarded(o)
				o.Policy.RemovedAfter, o.How.Approve = after, approve
				o.Sources = []sources.Named{{Name: "hr", Type: "folder", Source: folder.New(folder.Options{Path: dir, Recursive: recursive})}}
			}
		}
		b.must(from(true, ""))
		r := b.held(from(false, ""), "max_removed")
		if !strings.HasPrefix(r.Guards[0].Message, "15 of 120") {
			t.Errorf("%+v", r.Guards)
		}
		b.must(from(false, r.PlanID))
		for range 4 {
			if r := b.must(from(false, "")); r.Totals.Uploaded != 0 {
				t.Errorf("%+v", r.Totals)
			}
		}
		if r := b.must(from(true, "")); r.Totals.Unchanged+r.SkippedByReason["same_picture"] != 120 || r.Totals.Uploaded != 0 {
			t.Errorf("back again: %+v, %v", r.Totals, r.SkippedByReason)
		}
	}
}

// No shard sees more than its part of those who have one picture.
func TestHeldSilhouetteInShards(t *testing.T) {
	b := newBench(t, 60, simulator.Options{})
	for i := range 24 {
		b.mem.Put(email(i), picture(7777))
	}
	uploaded := 0
	for i := range 4 {
		st, err := state.Open(filepath.Join(t.TempDir(), "state.db"), state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		uploaded += b.must(func(o *Job) {
			guarded(o)
			o.State, o.Scope.Shard = st, plan.Shard{Index: i, Count: 4}
		}).Totals.Uploaded
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
	if uploaded != 36 {
		t.Errorf("%d uploaded, want 36: the silhouette of 24 people is held", uploaded)
	}
}

// A server that gives everyone the same silhouette.
func TestHeldSilhouette(t *testing.T) {
	b := newBench(t, 100, simulator.Options{})
	for i := range 50 {
		b.mem.Put(email(i), picture(7777))
	}
	r := b.must(guarded)
	if r.Totals.Uploaded != 50 || r.Totals.Held != 50 || r.Items[0].Reason != "shared_image" || r.Result != report.Partial {
		t.Errorf("totals %+v, item %+v", r.Totals, r.Items[0])
	}
	p := b.must(func(o *Job) { guarded(o); o.How.Mode = Plan })
	if done := b.must(approve(p.PlanID)); done.Totals.Uploaded != 50 {
		t.Errorf("totals %+v", done.Totals)
	}
	if quiet := b.must(guarded); quiet.Result != report.NothingToDo {
		t.Errorf("result %q: %+v", quiet.Result, quiet.Totals)
	}
	for i := range 100 { // later, everyone at once
		b.mem.Put(email(i), picture(8888))
	}
	again := b.held(guarded, "max_replaced")
	if again.Items[0].Reason != "shared_image" {
		t.Errorf("item %+v", again.Items[0])
	}
	b.approveOnce(again)
}

// A number as min_listed holds no source that was smaller before, but one that lists nobody now.
func TestMinListedAsNumberAndNobody(t *testing.T) {
	b := newBench(t, 12, simulator.Options{})
	number := plan.Guards{MaxReplaced: plan.Limit{N: 100}, MaxRemoved: plan.Limit{N: 100}, MinListed: plan.Limit{N: 10}, MinPeople: 10}
	guards := func(o *Job) { o.Policy.Guards = &number }
	b.must(guards)
	for i := range 3 {
		b.mem.Remove(email(i))
	}
	r := b.held(guards, "min_listed")
	b.must(func(o *Job) { guards(o); o.How.Approve = r.PlanID })
	b.must(guards) // 9 of 9
	for i := range 12 {
		b.mem.Remove(email(i))
	}
	b.held(guards, "min_listed")
}

// withText is a picture of seed with a comment of its own: another file, the same pixels.
func withText(seed, i int) []byte {
	png := picture(seed)
	chunk := append([]byte("tEXtComment\x00"), strconv.Itoa(i)...)
	text := binary.BigEndian.AppendUint32(nil, uint32(len(chunk)-4))
	text = append(text, chunk...)
	text = binary.BigEndian.AppendUint32(text, crc32.ChecksumIEEE(chunk))
	const header = 8 + 4 + 4 + 13 + 4 // the signature and IHDR
	return slices.Concat(png[:header], text, png[header:])
}

// A silhouette into which an export writes who it is for, or when: each file is another one, and
// what is sent is one identical picture. One person gets it, before the others are known.
func TestHeldSilhouetteInManyFiles(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	silhouettes := func(seed int) {
		for i := range 20 {
			b.mem.Put(email(i), withText(seed, i))
		}
	}
	stripped := func(change func(*Job)) func(*Job) {
		return func(o *Job) { change(o); o.Photos.StripMetadata = true }
	}
	held := func(r *report.Report) (shared, fresh int) {
		for _, it := range r.Items {
			if it.Reason == outcome.SharedImage && it.Outcome == outcome.Held {
				shared++
				if !it.AlreadyReported {
					fresh++
				}
			}
		}
		return shared, fresh
	}
	silhouettes(7777)
	for night, want := range []struct{ uploaded, shared, fresh int }{{1, 19, 19}, {0, 19, 0}, {0, 19, 0}} {
		r := b.must(stripped(guarded))
		if shared, fresh := held(r); r.Totals.Uploaded != want.uploaded || shared != want.shared || fresh != want.fresh {
			t.Errorf("night %d: %+v; %d shared, %d of them new", night, r.Totals, shared, fresh)
		}
	}
	var file *plan.File
	p := b.must(stripped(func(o *Job) { guarded(o); o.How.Mode, o.Events.File = Plan, func(f *plan.File) { file = f } }))
	if shared, _ := held(p); shared != 19 || len(file.Steps) != 0 || len(file.Held) != 19 {
		t.Errorf("plan: %d shared; file with %d steps, %d held", shared, len(file.Steps), len(file.Held))
	}
	if done := b.must(stripped(approve(p.PlanID))); done.Totals.Uploaded != 19 {
		t.Errorf("approved: %+v", done.Totals)
	}
	if r := b.must(stripped(guarded)); r.Result != report.NothingToDo {
		t.Errorf("after it: %q: %+v", r.Result, r.Totals)
	}

	// A run that a guard would hold, if the pictures that stay counted: it prepares them first.
	b.mem.Put(email(0), withText(7777, 1000))
	for i := range 19 { // new people
		b.mem.Put(email(100+i), withText(9999, i))
		b.sim.AddUser(smartsheet.User{Email: email(100 + i)})
	}
	one := plan.Guards{MaxReplaced: plan.Limit{N: 0}, MaxRemoved: strict.MaxRemoved, MaxShared: 10}
	r := b.must(stripped(func(o *Job) { o.Policy.Guards = &one }))
	if shared, _ := held(r); r.Totals.Uploaded != 1 || shared != 18 || r.Totals.Skipped != 1 {
		t.Errorf("new people: %+v, %d shared", r.Totals, shared)
	}
}

// Who left long ago is not known any more: percentages are of the people who are there.
func TestPeopleWhoLeft(t *testing.T) {
	for _, after := range []int{0, 1} {
		b := newBench(t, 60, simulator.Options{})
		policy := func(o *Job) { guarded(o); o.Policy.RemovedAfter = after }
		b.must(policy)
		for i := range 36 { // a few each night
			b.mem.Remove(email(i))
			b.sim.RemoveUser(email(i))
			if i%9 == 8 {
				b.must(policy)
			}
		}
		for i := 36; i < 48; i++ {
			b.mem.Put(email(i), picture(1000+i))
		}
		r := b.held(policy, "max_replaced")
		if !strings.Contains(r.Guards[0].Message, "12 of 24 people known") {
			t.Errorf("held by %v", r.Guards)
		}
	}
}

// Nor do people count whose user is gone, or not active, while their file stays.
func TestKnownPeopleWhoseUserIsGone(t *testing.T) {
	b := newBench(t, 60, simulator.Options{})
	b.must(guarded)
	for i := range 40 {
		b.sim.RemoveUser(email(i))
		if i%2 == 0 {
			b.sim.AddUser(smartsheet.User{Email: email(i), ID: b.record(i).ID, Status: "DEACTIVATED"})
		}
	}
	all := func(o *Job) { guarded(o); o.Policy.Refresh = time.Nanosecond } // everybody is looked up
	b.must(all)
	for i := 40; i < 50; i++ {
		b.mem.Put(email(i), picture(1000+i))
	}
	if r := b.held(all, "max_replaced"); !strings.Contains(r.Guards[0].Message, "10 of 20 people known") {
		t.Errorf("held by %v", r.Guards)
	}
}

// --retry-failed sends a picture once more that was a success in part, also if its bytes arrived.
func TestRetryAfterPartialSuccess(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.sim.AddFault(simulator.Fault{Kind: "says", Message: "PARTIAL_SUCCESS", Code: 3, User: email(0)})
	for range 2 {
		b.must(nil)
	}
	if r := b.must(nil); r.SkippedByReason[outcome.KnownBad] != 1 {
		t.Fatalf("skipped %v", r.SkippedByReason)
	}
	b.sim.ClearFaults()
	if r := b.must(func(o *Job) { o.Scope.RetryFailed = true }); r.Totals.Uploaded != 1 {
		t.Errorf("%+v, skipped %v", r.Totals, r.SkippedByReason)
	}
	if r := b.must(nil); r.Result != report.NothingToDo {
		t.Errorf("after it: %s", r.Result)
	}
}

// A picture that was announced and got no answer is still counted when it is another one now.
func TestReplacedAfterALostAnswer(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	b.must(guarded)
	for i := range 20 {
		u, row := b.record(i), b.row(i)
		u.Intent = &state.Intent{Origin: u.Sent.Origin, SourceSHA256: u.Sent.SourceSHA256, UploadSHA256: u.Sent.UploadSHA256, Rendering: u.Sent.Rendering, RunID: "killed"}
		row.Fingerprint = state.Fingerprint{}
		if err := b.st.Write(state.Change{Users: []state.User{u}, People: []state.Person{row}}); err != nil {
			t.Fatal(err)
		}
		b.mem.Put(email(i), picture(1000+i))
	}
	b.held(guarded, "max_replaced")
}

// answersLost is a Smartsheet that takes every picture and then cannot be reached.
type answersLost struct{ Smartsheet }

func (a answersLost) Upload(ctx context.Context, u smartsheet.User, img smartsheet.Image, before time.Time) (smartsheet.UploadResult, error) {
	if _, err := a.Smartsheet.Upload(ctx, u, img, before); err != nil {
		return smartsheet.UploadResult{}, err
	}
	return smartsheet.UploadResult{Attempts: 1, Unknown: true}, &smartsheet.Error{Op: "set", Status: 503, Code: 4001}
}

// A picture that was announced, and may have arrived, counts for max_shared until it is answered.
func TestHeldSilhouetteAfterLostAnswers(t *testing.T) {
	b := newBench(t, 30, simulator.Options{})
	for i := range 30 {
		b.mem.Put(email(i), withText(7777, i))
	}
	stripped := func(o *Job) { guarded(o); o.Photos.StripMetadata = true }
	show := func() (n int) {
		for i := range 30 {
			if _, has := b.sim.Image(email(i)); has {
				n++
			}
		}
		return n
	}
	for night := range 6 {
		_, err := b.run(t.Context(), 1_000_000, func(o *Job) { stripped(o); o.Smartsheet = answersLost{o.Smartsheet} })
		if n := show(); !Stopped(err) || n != 1 {
			t.Fatalf("night %d: error %v; %d users show the silhouette, want the first one alone", night, err, n)
		}
	}
	b.must(stripped)
	for i := range 30 {
		if _, has := b.sim.Image(email(i)); has && (b.record(i).Sent == nil || b.record(i).Intent != nil) {
			t.Errorf("the picture of %s was not sent again", email(i))
		}
	}
	if n := show(); n != 1 {
		t.Errorf("%d users show the silhouette, want the first one alone", n)
	}
}

// An export that puts a silhouette, with a text of its own, in the place of too many people's
// faces replaces one of them; few people with one picture all get it.
func TestSilhouettesOverFaces(t *testing.T) {
	for n, want := range map[int]int{12: 1, 10: 10} {
		b := newBench(t, 60, simulator.Options{})
		stripped := func(o *Job) { guarded(o); o.Photos.StripMetadata = true }
		b.must(stripped)
		for i := range n {
			b.mem.Put(email(i), withText(7777, i))
		}
		r := b.must(stripped)
		again := b.must(stripped)
		if r.Totals.Uploaded != want || r.Totals.Held != n-want || again.Totals.Uploaded != 0 {
			t.Errorf("%d silhouettes: %+v, then %+v", n, r.Totals, again.Totals)
		}
	}
}

// Pictures that were a success in part are sent again: nobody gets another one.
func TestSentAgainAfterAPartialSuccess(t *testing.T) {
	b := newBench(t, 40, simulator.Options{})
	b.sim.AddFault(simulator.Fault{Kind: "says", Message: "PARTIAL_SUCCESS", Code: 3, Every: 2})
	r := b.must(guarded)
	n := r.Totals.PartialSuccess
	b.sim.ClearFaults()
	x, err := Explain(t.Context(), b.options(1_000_000), r.Items[slices.IndexFunc(r.Items, func(it report.Item) bool { return it.Outcome == "partial_success" })].Email)
	if err != nil || !strings.Contains(x.Rule, "not a whole success") {
		t.Errorf("explained by %q, error %v", x.Rule, err)
	}
	if r = b.must(guarded); n < 15 || r.Totals.Uploaded != n {
		t.Errorf("%d in part, and then %+v", n, r.Totals)
	}
}

// People who are held for a shared picture do not take the place of others under --limit, and a
// run that leaves people out does not say that there is nothing to do.
func TestHeldSilhouettesUnderALimit(t *testing.T) {
	b := newBench(t, 50, simulator.Options{})
	for i := range 20 {
		b.mem.Put(email(i), withText(7777, i))
	}
	uploaded := 0
	for night := range 12 {
		r := b.must(func(o *Job) { guarded(o); o.Photos.StripMetadata, o.Scope.Limit = true, 5 })
		if uploaded += r.Totals.Uploaded; r.Totals.Uploaded == 0 && uploaded < 40 && night > 4 || r.Totals.Unfinished > 0 && r.Result == report.NothingToDo {
			t.Errorf("night %d: %s, %+v", night, r.Result, r.Totals)
		}
	}
	if uploaded != 40 {
		t.Errorf("%d uploaded, want 30 people with photos of their own, and ten with the silhouette", uploaded)
	}
}

// What photosync plan says before the first run of all can be approved.
func TestApproveThePlanBeforeTheFirstRun(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	for i := range 20 {
		b.mem.Put(email(i), picture(7777))
	}
	if err := b.st.Close(); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "state.db")
	open := func(readOnly bool) {
		var err error
		if b.st, err = state.Open(fresh, state.Options{ReadOnly: readOnly}); err != nil {
			t.Fatal(err)
		}
	}
	open(true)
	p := b.must(func(o *Job) { guarded(o); o.How.Mode = Plan })
	if err := b.st.Close(); err != nil {
		t.Fatal(err)
	}
	open(false)
	if r := b.must(approve(p.PlanID)); r.Totals.Uploaded != 20 {
		t.Errorf("approved: %+v", r.Totals)
	}
	if r, err := b.run(t.Context(), 1_000_000, approve(p.PlanID)); err != nil || r.Totals.Uploaded != 0 {
		t.Errorf("again: %v, %+v", err, r.Totals)
	}
}

// Below min_people a percentage holds nobody; a number does.
func TestMinPeople(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	b.must(guarded)
	for i := range 9 {
		b.mem.Put(email(i), picture(1000+i))
	}
	number := strict
	number.MaxReplaced = plan.Limit{N: 8}
	b.held(func(o *Job) { o.Policy.Guards = &number }, "max_replaced")
	b.must(guarded)
}

// A share that is not mounted is an empty folder: nobody of a small company, either, is
// taken for gone.
func TestSourceThatIsEmpty(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.must(guarded)
	for i := range 3 {
		b.mem.Remove(email(i))
	}
	b.approveOnce(b.held(guarded, "min_listed"))
	off := strict
	off.MinListed = plan.Limit{Percent: true}
	b.mem.Put(email(0), picture(1))
	b.must(guarded)
	b.mem.Remove(email(0))
	b.must(func(o *Job) { o.Policy.Guards = &off })
}

// A mount point may have a README, which is no person: nobody of a small company is taken for
// gone. Once it is approved, or where it never was otherwise, it holds nobody.
func TestSourceThatNamesNobody(t *testing.T) {
	for _, people := range []int{0, 8} {
		b := newBench(t, people, simulator.Options{})
		second := &Memory{}
		for i := people; i < people+60; i++ {
			second.Put(email(i), picture(i))
			b.sim.AddUser(smartsheet.User{Email: email(i)})
		}
		b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
		policy := func(o *Job) { guarded(o); o.Sources[0].Domains, o.Policy.RemovedAfter = []string{"example.com"}, 1 }
		if people > 0 {
			b.must(policy)
		}
		for i := range people {
			b.mem.Remove(email(i))
		}
		b.mem.Set(Entry{Ref: "README.txt", Own: []string{"readme@elsewhere.test"}})
		if people > 0 {
			b.held(policy, "min_listed")
			r := b.held(policy, "min_listed")
			b.must(func(o *Job) { policy(o); o.How.Approve = r.PlanID })
		}
		for range 3 {
			b.must(policy)
		}
	}
}

// People with one allowed picture, whose accounts were deleted and made anew, all get it again.
func TestSharedPictureOfNewAccounts(t *testing.T) {
	b := newBench(t, 8, simulator.Options{})
	policy := func(o *Job) { guarded(o); o.Policy.Refresh = time.Nanosecond }
	for i := range 8 {
		b.mem.Put(email(i), picture(7777))
	}
	b.must(policy)
	for i := range 8 {
		b.sim.RemoveUser(email(i))
		b.sim.AddUser(smartsheet.User{Email: email(i)})
	}
	if r := b.must(policy); r.Totals.Uploaded != 8 {
		t.Errorf("%+v", r.Totals)
	}
}

// --only one person whose photo was removed is no source without photos.
func TestOnlyWhoLostThePhoto(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	b.must(guarded)
	b.mem.Put(email(3), nil)
	b.must(func(o *Job) { guarded(o); o.Scope.Only = func(e string) bool { return e == email(3) } })
}

// A number that a source never reached does not hold it: it lists as many as before.
func TestMinListedOfASmallSource(t *testing.T) {
	b := newBench(t, 9, simulator.Options{})
	number := strict
	number.MinListed = plan.Limit{N: 50}
	policy := func(o *Job) { o.Policy.Guards = &number }
	b.must(policy)
	b.must(policy)
	for i := 9; i < 60; i++ {
		b.mem.Put(email(i), picture(i))
	}
	b.must(policy)
	for i := range 11 {
		b.mem.Remove(email(i))
	}
	b.held(policy, "min_listed")

	small := newBench(t, 9, simulator.Options{})
	small.must(policy)
	for i := range 9 {
		small.mem.Remove(email(i))
	}
	small.held(policy, "min_listed") // nobody at all
}

// --limit and --source.
func TestLimitAndSource(t *testing.T) {
	b := newBench(t, 10, simulator.Options{})
	r := b.must(func(o *Job) { o.Scope.Limit = 4 })
	if r.Totals.Uploaded != 4 || r.Totals.Unfinished != 6 {
		t.Errorf("limit: %+v", r.Totals)
	}
	b.mem.Put(email(0), picture(50))
	r = b.must(func(o *Job) { o.Scope.Limit = 6 }) // new people first
	if img, _ := b.sim.Image(email(0)); r.Totals.Uploaded != 6 || bytes.Equal(img.Data, picture(50)) {
		t.Errorf("a changed picture went before a new person: %+v", r.Totals)
	}
	second := &Memory{}
	second.Put("other@example.com", picture(60))
	b.sim.AddUser(smartsheet.User{Email: "other@example.com"})
	b.more = append(b.more, sources.Named{Name: "second", Type: "memory", Source: second})
	r = b.must(func(o *Job) { o.Scope.Source = "second" })
	if img, ok := b.sim.Image("other@example.com"); !ok || r.Totals.Uploaded != 1 || !bytes.Equal(img.Data, picture(60)) {
		t.Errorf("source: %+v", r.Totals)
	}
	if r = b.must(nil); r.Totals.Uploaded != 1 {
		t.Errorf("the rest: %+v", r.Totals)
	}
}

func TestHeldErrors(t *testing.T) {
	if err := fmt.Errorf("x: %w", &HeldError{Guards: true}); !Held(err) || Held(errors.New("x")) || Held(nil) {
		t.Error("Held does not tell")
	}
}

// Shards share the people out: each is uploaded once, nobody of another shard is
// counted or taken for gone, and guards count the shard's people alone.
func TestShards(t *testing.T) {
	const shards = 3
	b := newBench(t, 60, simulator.Options{})
	states := make([]*state.Store, shards)
	for i := range states {
		st, err := state.Open(filepath.Join(t.TempDir(), "state.db"), state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		states[i] = st
	}
	in := func(i int, more func(*Job)) func(*Job) {
		return func(o *Job) {
			o.State, o.Scope.Shard, o.Policy.RemovedAfter, o.Policy.Guards = states[i], plan.Shard{Index: i, Count: shards}, 1, &strict
			if more != nil {
				more(o)
			}
		}
	}
	uploaded := 0
	for i := range shards {
		r := b.must(in(i, nil))
		uploaded += r.Totals.Uploaded
		out := r.SkippedByReason["out_of_shard"]
		if r.Totals.People != 60 || r.Totals.Uploaded+out != 60 || r.Totals.Skipped != out || len(r.Items) != r.Totals.Uploaded {
			t.Errorf("shard %d: totals %+v, skipped %v, %d items", i, r.Totals, r.SkippedByReason, len(r.Items))
		}
	}
	if c := b.sim.Counts(); uploaded != 60 || c.Accepted != 60 {
		t.Errorf("%d uploads, %d accepted", uploaded, c.Accepted)
	}
	var mine []int // of shard 0
	for i := range 60 {
		if (plan.Shard{Index: 0, Count: shards}).Has(email(i)) {
			mine = append(mine, i)
		}
	}
	b.mem.Remove(email(mine[0]))
	for i := 1; i < shards; i++ {
		if r := b.must(in(i, nil)); r.Totals.Uploaded != 0 || len(r.Items) != 0 {
			t.Errorf("shard %d, somebody of another gone: %+v", i, r.Items)
		}
	}
	if r := b.must(in(0, nil)); r.Totals.Uploaded != 1 || r.Items[0].Reason != "placeholder" {
		t.Errorf("their own shard: %+v", r.Items)
	}
	for _, i := range mine[1:11] { // half of the shard, a sixth of all
		b.mem.Put(email(i), picture(500+i))
	}
	_, err := b.run(t.Context(), 1_000_000, in(0, nil))
	if !Held(err) || !strings.Contains(err.Error(), "max_replaced: 10 of") {
		t.Errorf("error %v", err)
	}
	if r := b.must(in(1, nil)); r.Result != report.NothingToDo {
		t.Errorf("another shard: %+v", r.Totals)
	}
}

// A shard of a few people is no sign of a set-up that is wrong for everybody: what the
// listing knows counts over all people, and few people prove nothing.
func TestFindingsOfAShard(t *testing.T) {
	const shards = 8
	in := func(b *bench, i int, more func(*Job)) (codes []string) {
		st, err := state.Open(filepath.Join(t.TempDir(), "state.db"), state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		r := b.must(func(o *Job) {
			o.State, o.Scope.Shard = st, plan.Shard{Index: i, Count: shards}
			more(o)
		})
		for _, f := range r.Findings {
			if f.Code != outcome.ReplacesPictures { // the shard's state is new each time
				codes = append(codes, f.Code)
			}
		}
		return codes
	}
	for i := range shards {
		none := func(*Job) {}
		b := newBench(t, 0, simulator.Options{}) // two people, one of them a user, in 8 shards
		b.mem.Put(email(0), picture(0))
		b.mem.Put(email(1), picture(1))
		b.sim.AddUser(smartsheet.User{Email: email(0)})
		if got := in(b, i, none); len(got) > 0 {
			t.Errorf("shard %d, one of two is a user: %v", i, got)
		}
		if got := in(b, i, func(o *Job) { o.Policy.Excluded = func(e string) bool { return e == email(1) } }); len(got) > 0 {
			t.Errorf("shard %d, one of two is excluded: %v", i, got)
		}
		b.mem.Remove(email(1))
		b.mem.Remove(email(0))
		b.mem.Put(email(0), nil)
		b.mem.Put(email(1), picture(1))
		b.sim.AddUser(smartsheet.User{Email: email(1)})
		if got := in(b, i, none); len(got) > 0 {
			t.Errorf("shard %d, one of two has no photo: %v", i, got)
		}
		b.mem.Remove(email(0))
		b.mem.Remove(email(1))
		if got := in(b, i, none); !slices.Equal(got, []string{"nobody_listed"}) {
			t.Errorf("shard %d, nobody is listed: %v", i, got)
		}
		for p := range 100 * shards { // strangers
			b.mem.Put(email(100+p), picture(100+p))
		}
		if got := in(b, i, none); !slices.Equal(got, []string{"nobody_in_smartsheet"}) {
			t.Errorf("shard %d, all are strangers: %v", i, got)
		}
		if got := in(b, i, func(o *Job) { o.Policy.Excluded = func(string) bool { return true } }); !slices.Equal(got, []string{"everybody_excluded"}) {
			t.Errorf("shard %d, everybody is excluded: %v", i, got)
		}
	}
}

// Pictures that are sent again by --force replace nothing, unless their users show others by now.
func TestForcedPicturesReplaceNothing(t *testing.T) {
	b := newBench(t, 14, simulator.Options{})
	b.must(guarded)
	forced := func(o *Job) { guarded(o); o.Scope.Force = true }
	if r := b.must(forced); r.Totals.Uploaded != 14 {
		t.Errorf("%+v", r.Totals)
	}
	for i := range 12 {
		b.sim.SetImage(email(i), picture(500+i))
	}
	if r := b.held(forced, "max_replaced"); !strings.HasPrefix(r.Guards[0].Message, "12 of 14") {
		t.Errorf("%+v", r.Guards)
	}
	for i := range 14 {
		b.mem.Put(email(i), picture(1000+i))
	}
	b.held(forced, "max_replaced")
}

// A plan that was approved, and is so small by now that no guard holds it, needs no approval.
func TestApprovalOfAPlanThatBecameSmall(t *testing.T) {
	b := newBench(t, 30, simulator.Options{})
	b.must(guarded)
	for i := range 20 {
		b.mem.Put(email(i), picture(1000+i))
	}
	id := b.held(guarded, "max_replaced").PlanID
	for i := 3; i < 20; i++ {
		b.mem.Put(email(i), picture(i))
	}
	_, err := b.run(t.Context(), 1_000_000, approve(id))
	if !Held(err) || !strings.Contains(outcome.Hint(err), "leave out --approve") {
		t.Errorf("error %v, hint %q", err, outcome.Hint(err))
	}
}

// A domain that match.domains rewrites by mistake holds the run, as if its people had lost their photos.
func TestWrongDomainHoldsTheRun(t *testing.T) {
	b := newBench(t, 40, simulator.Options{})
	for i := range 20 {
		b.mem.Put(fmt.Sprintf("x%02d@other.example", i), picture(100+i))
		b.sim.AddUser(smartsheet.User{Email: fmt.Sprintf("x%02d@other.example", i)})
	}
	b.must(guarded)
	for range 2 {
		b.held(func(o *Job) { guarded(o); o.Sources[0].Rewrite = map[string]string{"other.example": "wrong.example"} }, "max_removed")
	}
}
