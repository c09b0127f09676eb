package folder

import (
	"io/fs"
	"syscall"
)

const nonBlock = syscall.O_NONBLOCK

// changeTime is the inode's change time in ns, which a program that resets the modification time
// cannot hide from, and its number.
func changeTime(fi fs.FileInfo) (int64, uint64) {
	st := fi.Sys().(*syscall.Stat_t)
	return st.Ctim.Nano(), st.Ino
}
