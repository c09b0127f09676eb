//go:build !windows

package state

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// releasePages lets go of the part of the file that is in this process's memory, where a
// walk over a large state would count, all of it. The mapping is shared and only read:
// nothing can be lost.
func releasePages(tx *bbolt.Tx) {
	syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED)
}
