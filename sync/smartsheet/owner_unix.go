//go:build unix

package smartsheet

import (
	"os"
	"syscall"
)

// noFollow makes opening a link fail: in somebody else's folder it could lead anywhere.
const noFollow = syscall.O_NOFOLLOW

// keepOwner gives the open file f the owner of the file like, when root runs photosync by
// hand: the user that runs it every night must be able to read what root wrote.
func keepOwner(f interface{ Chown(uid, gid int) error }, like string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	fi, err := os.Lstat(like)
	if err != nil {
		return err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(st.Uid), int(st.Gid))
	}
	return nil
}
