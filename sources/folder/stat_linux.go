package folder

import (
	"io/fs"
	"syscall"
	"time"
)

const nonBlock = syscall.O_NONBLOCK

// changeTime is the inode's change time and number, which a program that resets
// the modification time cannot hide from.
func changeTime(fi fs.FileInfo) (time.Time, uint64) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix()), st.Ino
	}
	return time.Time{}, 0
}
