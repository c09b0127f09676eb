//go:build !windows

package state

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// releasePages releases the pages of the file that are mapped into this process: a walk over a large state
// would otherwise count as that much memory. The mapping is shared and only read: nothing can be lost.
func releasePages(tx *bbolt.Tx) {
	syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED)
}
