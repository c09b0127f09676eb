//go:build linux || darwin

package folder

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const nonBlock = unix.O_NONBLOCK

// changeTime returns the inode's change time in ns, which a program that resets the modification
// time cannot hide from, and its number.
func changeTime(fi fs.FileInfo) (int64, uint64) {
	st := fi.Sys().(*syscall.Stat_t)
	return ctime(st), st.Ino
}

// lstat returns the facts of a file in the folder dir. Every run needs those of all files, and
// os.Root.Lstat takes twice as long as the system call.
func lstat(_ *os.Root, dir *os.File, f *file) (facts, error) {
	var st unix.Stat_t
	var err error = unix.EINTR
	for errors.Is(err, unix.EINTR) { // a network share may be interrupted
		err = unix.Fstatat(int(dir.Fd()), f.base, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	kind := fs.ModeIrregular
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		kind = 0
	case unix.S_IFDIR:
		kind = fs.ModeDir
	case unix.S_IFLNK:
		kind = fs.ModeSymlink
	}
	return facts{kind, st.Size, st.Mtim.Nano(), st.Ctim.Nano(), st.Ino}, err
}
