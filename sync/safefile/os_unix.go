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

// NoFollow makes it an error to open a link. Opening a pipe does not wait.
const NoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func stat(fi fs.FileInfo) *syscall.Stat_t { return fi.Sys().(*syscall.Stat_t) }

// Own gives an open file the owner of the file like, if that exists and root runs photosync: the
// user that runs it every night must be able to read the file. Own refuses a file that has a
// second name: the file may be anybody's.
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

// Real resolves the links in path. A link that belongs neither to root nor to the user of this
// process must lead to a file of the link's owner.
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
