package job

import (
	"path/filepath"
	"testing"
	"time"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// A backup is made after a good run: what came of that run is in it already.
func TestReplayOfWhatIsKnown(t *testing.T) {
	st, err := state.Open(filepath.Join(t.TempDir(), "state.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	err = st.Write(state.Change{Users: []state.User{
		{ID: 1, Sent: &state.Sent{RunID: "r1", ImageID: "i1", At: at}},
		{ID: 2, Failure: &state.Failure{RunID: "r1", Code: "1074", At: at}},
		{ID: 3, Missing: 2},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := report.New(Sync, "r1", "dev", at)
	r.FinishedAt = at.Add(time.Second)
	for id, o := range []outcome.Outcome{1: outcome.Uploaded, 2: outcome.Failed, 3: outcome.Uploaded, 4: outcome.Failed} {
		r.Add(report.Item{UserID: int64(id), Outcome: o, Attempts: 1, ImageID: "i1", Image: &report.Image{}})
	}
	mine, sandbox := state.Account{Root: "https://api.example.test/2.0", ID: 7}, state.Account{Root: "http://127.0.0.1:8080/2.0", ID: 7}
	if err := st.Bind(mine); err != nil {
		t.Fatal(err)
	}
	r.Account = sandbox.String() // rehearsed with the same folder of reports
	if n, err := Replay(st, []*report.Report{r}); n != 0 || err != nil {
		t.Errorf("%d uploads of another account, %v", n, err)
	}
	r.Account = mine.String()
	if n, err := Replay(st, []*report.Report{r}); n != 1 || err != nil {
		t.Errorf("%d uploads that the state did not know, %v; want 1", n, err)
	}
	for id, want := range map[int64]bool{1: true, 2: false, 3: true, 4: false} {
		if u, _, err := st.User(id); (u.Sent != nil) != want || u.Intent != nil || u.Missing != 0 || err != nil {
			t.Errorf("user %d: %+v, %v", id, u, err)
		}
	}
}
