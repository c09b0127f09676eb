//go:build unix

package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// NoFollow makes opening a link an error. Opening a pipe does not wait.
const NoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func stat(fi fs.FileInfo) *syscall.Stat_t { return fi.Sys().(*syscall.Stat_t) }

// Own gives an open file the owner of the file like, if that is there and root runs
// photosync by hand: the user that runs it every night must be able to read it. A file that
// has another name, too, is refused: it may be anybody's.
func Own(f *os.File, like string) error {
	want, err := os.Lstat(like)
	if errors.Is(err, fs.ErrNotExist) || os.Geteuid() != 0 {
		return nil
	}
	has, ferr := f.Stat()
	if err := errors.Join(err, ferr); err != nil {
		return err
	}
	if stat(has).Nlink > 1 {
		return fmt.Errorf("%q has another name, too, and is not given away", f.Name())
	}
	return f.Chown(int(stat(want).Uid), int(stat(want).Gid))
}

// Real is the file that path leads to. A link that is neither root's nor one's own must
// lead to a file of its owner.
func Real(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	link, err := os.Lstat(path)
	to, terr := os.Lstat(real)
	if err := errors.Join(err, terr); err != nil {
		return "", err
	}
	if by := stat(link).Uid; by != 0 && int(by) != os.Geteuid() && by != stat(to).Uid {
		return "", fmt.Errorf("%q is a link of user %d to a file of another, and is not followed", path, by)
	}
	return real, nil
}
