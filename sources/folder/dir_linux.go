package folder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Reading a folder of a million files with os.File.ReadDir and Info takes about
// twice as long as with the system calls below, and most of it for nothing.

// dirBlock is how many bytes of a folder are read at once: some hundred names.
const dirBlock = 32 << 10

// entry is a name in a folder.
type entry struct {
	name string
	kind fs.FileMode // its type bits; fs.ModeIrregular: not known
	dir  int
}

// stat returns the facts of the entry; links are not followed.
func (e entry) stat() (facts, error) {
	var st unix.Stat_t
	err := restarted(func() error { return unix.Fstatat(e.dir, e.name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return facts{}, &fs.PathError{Op: "fstatat", Path: e.name, Err: err}
	}
	return facts{typeOf(st.Mode), st.Size, st.Mtim.Nano(), st.Ctim.Nano(), st.Ino}, nil
}

func typeOf(mode uint32) fs.FileMode {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	}
	return fs.ModeDevice
}

// block is a part of a folder as the kernel gives it.
type block struct {
	dir  int
	data []byte
}

// nextBlock reads on in the folder d; io.EOF at its end.
func nextBlock(d *os.File) (block, error) {
	b := block{int(d.Fd()), make([]byte, dirBlock)}
	n := 0
	err := restarted(func() (err error) { n, err = unix.Getdents(b.dir, b.data); return err })
	if err == nil && n <= 0 {
		err = io.EOF
	}
	b.data = b.data[:max(n, 0)]
	return b, err
}

// entries yields what is in the block (struct linux_dirent64 in getdents(2)).
func (b block) entries(yield func(entry) bool) {
	const reclen, kind, name = 16, 18, 19
	for d := b.data; len(d) > name; {
		n := int(binary.NativeEndian.Uint16(d[reclen:]))
		if n <= name || n > len(d) {
			return
		}
		e := entry{kind: fs.ModeIrregular, dir: b.dir}
		switch d[kind] {
		case unix.DT_REG:
			e.kind = 0
		case unix.DT_DIR:
			e.kind = fs.ModeDir
		case unix.DT_LNK:
			e.kind = fs.ModeSymlink
		case unix.DT_FIFO, unix.DT_SOCK, unix.DT_CHR, unix.DT_BLK:
			e.kind = fs.ModeDevice
		}
		text, _, _ := bytes.Cut(d[name:n], []byte{0})
		d = d[n:]
		if string(text) == "." || string(text) == ".." {
			continue
		}
		e.name = string(text)
		if !yield(e) {
			return
		}
	}
}

// restarted calls f again when a signal interrupted it, as may happen on network
// file systems.
func restarted(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
