package job

import (
	"fmt"
	"time"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// backupKey is the state's fact about how many runs in a row could not back it up.
const backupKey = "backup_failed"

// backupRuns is after how many such runs somebody is needed.
const backupRuns = 3

// Backup backs the state up after a good run. That it failed is a finding, which raises
// the exit code from the third run on: until then a backup of the run before is there.
func Backup(st *state.Store, rep *report.Report) error {
	failed := 0
	if _, err := st.Meta(backupKey, &failed); err != nil {
		return err
	}
	err := st.Backup()
	if err == nil {
		if failed > 0 {
			return st.SetMeta(backupKey, 0)
		}
		return nil
	}
	failed++
	f := outcome.Finding{
		Code: outcome.BackupFailing, Severity: outcome.Notice, Count: failed,
		Message: fmt.Sprintf("the state could not be backed up (runs in a row: %d): %v", failed, err),
		Hint:    "make room beside state.path, and let the user that runs photosync write there",
	}
	if failed >= backupRuns {
		f.Severity = outcome.Attention
	}
	rep.Findings = append(rep.Findings, f)
	if rep.NeedsSomebody() && (rep.Result == report.Success || rep.Result == report.NothingToDo) {
		rep.Result, rep.FinishedAt = report.Partial, time.Now().UTC()
	}
	return st.SetMeta(backupKey, failed)
}
