package sources

import (
	"errors"
	"fmt"
	"syscall"
)

// HostError is a limit of this machine that was reached. It is one fault, whatever
// number of photos cannot be read for it.
type HostError struct {
	What, Do string // what the machine has too little of, and the hint
	Err      error
}

func (e *HostError) Error() string { return fmt.Sprintf("this machine has %s: %v", e.What, e.Err) }
func (e *HostError) Unwrap() error { return e.Err }
func (e *HostError) Hint() string  { return e.Do }

var hostFaults = []HostError{
	{"too few file descriptors for this process", "raise the limit of open files: ulimit -n, or LimitNOFILE= of the systemd unit", syscall.EMFILE},
	{"too few file descriptors", "end programs that keep many files open, or raise fs.file-max", syscall.ENFILE},
	{"too little memory", "give the machine or the container more memory", syscall.ENOMEM},
	{"no space or no inodes left", "free some: df -h shows the space, df -i the inodes", syscall.ENOSPC},
	{"no quota left", "raise the disk quota of the user that runs photosync, or free some space", syscall.EDQUOT},
}

// HostFault returns the limit of this machine that err is about; nil: none.
func HostFault(err error) *HostError {
	for _, f := range hostFaults {
		if errors.Is(err, f.Err) {
			return &f
		}
	}
	return nil
}
