package job

import (
	"context"
	"strings"
	"testing"

	"photosync/sync/outcome"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// verifying is a run that verifies; meanwhile happens after everyone is uploaded.
func verifying(left int, meanwhile func()) func(*Job) {
	return func(o *Job) {
		o.How.Verify, o.Scope.Force, o.How.Concurrency = true, true, 1
		o.Events.Item = func(report.Item) {
			if left--; left == 0 && meanwhile != nil {
				meanwhile()
			}
		}
	}
}

// What was uploaded is read again, in one call; what Smartsheet does not show needs
// attention, and stays recorded as the answer had it.
func TestVerify(t *testing.T) {
	b := newBench(t, 40, simulator.Options{FirstUserID: 1000})
	r := b.must(verifying(40, nil))
	if calls := b.sim.Counts().ByOp; calls["users"] != 2 || calls["user"] != 0 {
		t.Errorf("calls %v, want one to find everyone and one to verify", calls)
	}
	if v := r.Items[0].Verified; v == nil || !*v || r.Totals.Verified != 40 || r.Totals.Unverified != 0 || r.Result != report.Success {
		t.Fatalf("result %s, totals %+v", r.Result, r.Totals)
	}
	r = b.must(verifying(40, func() {
		b.sim.SetImage(email(3), picture(99))
		b.sim.RemoveUser(email(5))
		b.sim.RemoveUser(email(7)) // who comes back under another name, and without the picture
		b.sim.AddUser(smartsheet.User{ID: 1007, Email: "renamed@example.com"})
	}))
	if r.Totals.Verified != 37 || r.Totals.Unverified != 3 || r.Totals.Uploaded != 40 || r.NeedsAttention() != 3 || r.Result != report.Partial {
		t.Errorf("result %s, totals %+v", r.Result, r.Totals)
	}
	for i, want := range map[int]string{3: "SUCCESS, but Smartsheet shows another picture, ", 5: "SUCCESS, but Smartsheet shows no such user", 7: "SUCCESS, but Smartsheet shows no picture"} {
		it := r.Items[i]
		if it.Email != email(i) || it.Verified == nil || *it.Verified || !it.Unverified || !strings.HasPrefix(it.Message, want) || it.Hint == "" {
			t.Errorf("item %+v, want %q", it, want)
		}
		if rec := b.record(i); rec.Sent.ImageID != it.ImageID || it.ImageID == "" {
			t.Errorf("record %+v, item %+v", rec, it)
		}
	}
}

// killed stops all that photosync does when the pictures are verified.
type killed struct{ *smartsheet.Client }

func (k killed) UsersByEmail(ctx context.Context, emails []string, each func(smartsheet.User) error) (bool, error) {
	if k.Stats().Requests == 4 { // after me, users, and two uploads
		panic("killed")
	}
	return k.Client.UsersByEmail(ctx, emails, each)
}

// A run that is killed while it verifies has not come to its end: a photo that it refused raises
// the exit code of the next one, as there is no report.
func TestKilledWhileVerifying(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.mem.Put(email(0), []byte("no picture"))
	_, err := b.run(t.Context(), 1_000_000, func(o *Job) {
		verifying(3, nil)(o)
		o.Smartsheet = killed{b.client(1_000_000)}
	})
	if err == nil || b.sim.Counts().Accepted != 2 {
		t.Fatalf("error %v, %d uploads", err, b.sim.Counts().Accepted)
	}
	if r := b.must(nil); !r.NeedsSomebody() {
		t.Errorf("nobody is told of the photo that was refused: %+v", r.Totals)
	}
}

// laggard is a Smartsheet whose list of users shows the pictures of yesterday.
type laggard struct{ *smartsheet.Client }

func (l laggard) UsersByEmail(ctx context.Context, emails []string, each func(smartsheet.User) error) (bool, error) {
	return l.Client.UsersByEmail(ctx, emails, func(u smartsheet.User) error {
		u.ImageID = "yesterday"
		return each(u)
	})
}

// A list that lags behind accuses nobody, as far as people are asked for one by one.
func TestVerifyAsksAgain(t *testing.T) {
	b := newBench(t, maxAskedAgain+5, simulator.Options{})
	change := verifying(maxAskedAgain+5, nil)
	r := b.must(func(o *Job) {
		change(o)
		o.Smartsheet = laggard{b.client(1_000_000)}
	})
	if r.Totals.Verified != maxAskedAgain || r.Totals.Unverified != 5 || b.sim.Counts().ByOp["user"] != maxAskedAgain {
		t.Errorf("totals %+v, calls %v", r.Totals, b.sim.Counts().ByOp)
	}
}

// Users that cannot be read verify nothing, and take nothing back.
func TestVerifyFails(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.sim.AddFault(simulator.Fault{Op: "users", Kind: "status", Status: 403, Code: 1004, Skip: 1})
	r, err := b.run(t.Context(), 1_000_000, verifying(3, nil))
	if err == nil || r.Result != report.Failed || r.Error.RefID == "" || r.Totals.Uploaded != 3 || r.Totals.Verified+r.Totals.Unverified != 0 {
		t.Errorf("error %v, result %s, totals %+v", err, r.Result, r.Totals)
	}
	b.sim.ClearFaults()
	if r = b.must(nil); r.Totals.Unchanged != 3 {
		t.Errorf("the next run: %+v", r.Totals)
	}
}

// Every refId is kept, also of an answer that contradicts itself.
func TestFailedItemsOfAContradiction(t *testing.T) {
	for _, says := range []simulator.Fault{{Kind: "says", Message: "SUCCESS"}, {Kind: "says", Message: "SUCCESS", Code: 3}, {Kind: "says", Message: "PARTIAL_SUCCESS"}} {
		b := newBench(t, 1, simulator.Options{})
		b.sim.AddFault(simulator.Fault{Kind: "partial"})
		b.sim.AddFault(says)
		r := b.must(nil)
		it, f := r.Items[0], b.record(0).Failure
		if it.Outcome != outcome.Failed || it.RefID == nil || it.ErrorCode == nil || *it.ErrorCode != 1074 || len(it.FailedItems) != 1 || it.ResultCode == nil || *it.ResultCode != says.Code {
			t.Fatalf("%+v: %+v", says, it)
		}
		if ref := it.FailedItems[0].RefID; ref == nil || *ref != *it.RefID || f == nil || f.RefID != *ref || f.Code != "1074" {
			t.Errorf("%+v: refId %q, of the failed item %v, state %+v", says, *it.RefID, ref, f)
		}
	}
}

// An upload that Smartsheet calls a success counts as seen only if the answer, or else a look-up, shows a picture.
func TestSuccessThatShowsNoPicture(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	if err := b.sim.AddQuirk("no-image"); err != nil {
		t.Fatal(err)
	}
	for _, verify := range []bool{false, true} {
		r := b.must(func(o *Job) { o.Scope.Force, o.How.Verify = true, verify })
		it := r.Items[0]
		if it.Outcome != outcome.Uploaded || !it.Unverified || it.Verified == nil || *it.Verified || it.Message != "SUCCESS, but Smartsheet shows no picture" ||
			r.Totals.Unverified != 2 || r.Result != report.Partial {
			t.Errorf("--verify %t: %+v, %+v, %s", verify, it, r.Totals, r.Result)
		}
	}
}
