//go:build !linux

package folder

import (
	"io/fs"
	"os"
)

// dirBlock is how many names of a folder are read at once.
const dirBlock = 512

// entry is a name in a folder.
type entry struct {
	name string
	kind fs.FileMode // its type bits
	dir  fs.DirEntry
}

// stat returns the facts of the entry; links are not followed.
func (e entry) stat() (facts, error) {
	fi, err := e.dir.Info()
	if err != nil {
		return facts{}, err
	}
	return factsOf(fi), nil
}

// block is a part of a folder.
type block []fs.DirEntry

// nextBlock reads on in the folder d; io.EOF at its end.
func nextBlock(d *os.File) (block, error) {
	b, err := d.ReadDir(dirBlock)
	if len(b) > 0 {
		err = nil // it comes again
	}
	return b, err
}

// entries yields what is in the block.
func (b block) entries(yield func(entry) bool) {
	for _, d := range b {
		if !yield(entry{d.Name(), d.Type(), d}) {
			return
		}
	}
}
