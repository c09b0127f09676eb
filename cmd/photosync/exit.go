package main

import (
	"errors"

	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/report"
)

// Exit codes. They are part of the contract with cron jobs and CronJobs.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitAttention   = 3
	exitHeld        = 4
	exitLocked      = 5
	exitInterrupted = 6
	exitChanges     = 10 // plan only
)

// usageError is a mistake in the command line or the configuration. Nobody was contacted.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usage makes err a usageError; nil stays nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// exitCode returns the exit code of a run. r may be nil if err is not.
func exitCode(r *report.Report, err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*state.LockedError](err); ok {
		return exitLocked
	}
	switch {
	case job.Held(err):
		return exitHeld
	case job.Stopped(err):
		return exitInterrupted
	case err != nil:
		return exitFailed
	case r.Mode == job.Plan && r.Totals.Planned+len(r.Guards) > 0:
		return exitChanges
	case r.NeedsSomebody():
		return exitAttention
	}
	return exitDone
}
