package job

import (
	"os"
	"reflect"
	"slices"
	"syscall"
	"unsafe"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// disk is what breaks in a night.
type disk struct {
	At     int    // the write of a page of the state at which it begins; 0: none
	For    int    // so many writes; 0: until the run ends
	How    string // of diskFaults
	Backup bool   // the backup cannot be put in its place
}

// diskFaults: the disk is full, or is now read-only, or fails; what is written in part
// arrives in part, and what is lost late arrives whole, and only fsync fails.
var diskFaults = []string{"full", "read-only", "failing", "in part", "late"}

var diskErrors = map[string]error{
	"full": syscall.ENOSPC, "read-only": syscall.EROFS, "failing": syscall.EIO, "in part": syscall.ENOSPC, "late": syscall.EIO,
}

// writerOf is the function with which bbolt writes the pages of a state. It is not
// exported: real disks that fail at the right moment are slow, see TestBrokenDisks.
func writerOf(st *state.Store) *func([]byte, int64) (int, error) {
	db := reflect.ValueOf(st).Elem().FieldByName("db").Elem()
	return (*func([]byte, int64) (int, error))(unsafe.Pointer(db.FieldByName("ops").FieldByName("writeAt").UnsafeAddr()))
}

// breakDisk lets the disk of the state fail in a run; heal ends that.
func (w *world) breakDisk(n *night) (heal func()) {
	if n.Disk.At == 0 {
		return func() {}
	}
	write, writes := writerOf(w.st), 0
	whole := *write
	*write = func(b []byte, off int64) (int, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		writes++
		if d := n.Disk; writes < d.At || d.For > 0 && writes >= d.At+d.For {
			return whole(b, off)
		}
		w.note("    the disk is broken: %s", n.Disk.How)
		w.o.broken++
		arrived := 0
		switch n.Disk.How {
		case "in part":
			arrived, _ = whole(b[:len(b)/2], off)
		case "late":
			arrived, _ = whole(b, off)
		}
		return arrived, &os.PathError{Op: "write", Path: w.path(), Err: diskErrors[n.Disk.How]}
	}
	st := w.st
	return func() {
		if *writerOf(st) != nil { // bbolt takes it away with Close
			*write = whole
		}
	}
}

// backup backs the state up, as the program does after a good run.
func (w *world) backup(n *night, r *report.Report) {
	place, aside := w.path()+".backup", w.path()+".aside"
	if n.Disk.Backup { // something else is there
		os.Rename(place, aside) // there may be none
		if err := os.MkdirAll(place+"/x", 0o700); err != nil {
			panic(err)
		}
	}
	if err := Backup(w.st, r); err != nil {
		w.fail(pLost, "the backup: "+err.Error())
	}
	i := slices.IndexFunc(r.Findings, func(f outcome.Finding) bool { return f.Code == outcome.BackupFailing })
	if n.Disk.Backup {
		w.unbacked++
		os.RemoveAll(place)
		os.Rename(aside, place)
	} else {
		w.unbacked, w.unsaved = 0, false
		w.saved, w.reported = w.remember(), map[int64]*memory{}
	}
	switch {
	case i >= 0 != (w.unbacked > 0):
		w.fail(pBackup, "it is not said, or although it went well")
	case w.unbacked >= 3 && !r.NeedsSomebody():
		w.fail(pBackup, "nobody is told that it failed in three runs")
	}
}
