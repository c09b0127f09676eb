package state

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"

	"go.etcd.io/bbolt"
)

// This file reads bbolt's own pages (file format 2), to find damage that no checksum of a row
// shows. bbolt uses the newest sound meta page: damage to the newest would silently roll back
// the last transaction. A page that leads back to one above it sends bbolt into an endless
// recursion. And bbolt overwrites every page in its list of free pages.
const (
	pageHeader = 16 // id, flags, count, overflow
	metaSize   = 64
	branchPage = 1
	leafPage   = 2
	freePages  = 16
)

func uint64At(b []byte, at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }

// pages reads the pages of an open file.
type pages struct {
	file io.ReaderAt
	size int64  // of a page
	end  uint64 // number of pages
	used []bool // the pages that are part of a tree, or the list of free pages

	buffer []byte   // see page
	queue  []uint64 // the pages of a tree, level by level
}

// checkPages makes sure that the pages of the file form trees, and that none of these pages is
// listed as free. It reads only the branch pages, about one page in a hundred.
func checkPages(file io.ReaderAt, tx *bbolt.Tx) (*pages, error) {
	p := &pages{file: file, size: int64(tx.DB().Info().PageSize)}
	root, list, err := p.meta()
	if err != nil {
		return nil, err
	}
	p.used, p.queue = make([]bool, p.end), make([]uint64, 0, p.end)
	err = p.tree(root)
	for _, name := range [][]byte{people, users, facts} {
		if b := tx.Bucket(name); err == nil && b.Root() != 0 { // 0: it is part of the page above
			err = p.tree(uint64(b.Root()))
		}
	}
	return p, cmp.Or(err, p.free(list))
}

// meta reads the newer of the two pages that lead to all others. After a crash both are sound:
// bbolt writes each in one piece, and only one at a time.
func (p *pages) meta() (root, list uint64, err error) {
	newest := uint64(0)
	for i := range int64(2) {
		m := make([]byte, metaSize)
		if _, err := p.file.ReadAt(m, i*p.size+pageHeader); err != nil {
			return 0, 0, err
		}
		h := fnv.New64a()
		h.Write(m[:metaSize-8])
		if h.Sum64() != uint64At(m, 56) {
			return 0, 0, errors.New("one of its two first pages does not match its checksum: the last change may be lost")
		}
		if transaction := uint64At(m, 48); transaction >= newest {
			root, list, p.end, newest = uint64At(m, 16), uint64At(m, 32), uint64At(m, 40), transaction
		}
	}
	return root, list, nil
}

// page reads the kind of a page and, unless it is a leaf, its elements of the given size. They
// are valid until the next call.
func (p *pages) page(id uint64, element uint64) (kind uint16, elements []byte, err error) {
	read := func(size uint64) error {
		p.buffer = slices.Grow(p.buffer[:0], int(size))[:size]
		_, err := p.file.ReadAt(p.buffer, int64(id)*p.size)
		return err
	}
	if err := read(uint64(p.size)); err != nil {
		return 0, nil, err
	}
	kind = binary.NativeEndian.Uint16(p.buffer[8:])
	count, from := uint64(binary.NativeEndian.Uint16(p.buffer[10:])), uint64(pageHeader)
	switch {
	case uint64At(p.buffer, 0) != id:
		return 0, nil, fmt.Errorf("page %d says that it is another", id)
	case kind == leafPage:
		return kind, nil, nil
	case kind == freePages && count == 0xffff: // then the number is the first element
		count, from = min(uint64At(p.buffer, pageHeader), p.end), pageHeader+8
	}
	end := from + count*element
	if end > uint64(len(p.buffer)) { // they go on in the pages that follow
		err = read(end)
	}
	return kind, p.buffer[from:end], err
}

// tree visits the branches below a page level by level: all pages of a level are of one kind.
func (p *pages) tree(root uint64) error {
	if err := p.use(root); err != nil {
		return err
	}
	p.queue = append(p.queue[:0], root)
	for done := 0; ; {
		level := p.queue[done:]
		done = len(p.queue)
		for _, id := range level {
			// Of an element: position and size of the key, id of the page below.
			kind, elements, err := p.page(id, 16)
			switch {
			case err != nil:
				return err
			case kind == leafPage && id == level[0]:
				return nil
			case kind != branchPage || len(elements) == 0:
				return fmt.Errorf("page %d is of the wrong kind", id)
			}
			for e := range slices.Chunk(elements, 16) {
				p.queue = append(p.queue, uint64At(e, 8))
				if err := p.use(uint64At(e, 8)); err != nil {
					return err
				}
			}
		}
	}
}

// use marks a page as used. Only one place in the file may refer to it.
func (p *pages) use(id uint64) error {
	switch {
	case id < 2 || id >= p.end:
		return fmt.Errorf("page %d is not there", id)
	case p.used[id]:
		return fmt.Errorf("page %d is in two places", id)
	}
	p.used[id] = true
	return nil
}

var errFree = errors.New("the list of free pages is wrong")

// free checks the list of free pages, which begins at the page list.
func (p *pages) free(list uint64) error {
	if err := p.use(list); err != nil {
		return err
	}
	kind, elements, err := p.page(list, 8)
	if err != nil || kind != freePages {
		return cmp.Or(err, errFree)
	}
	last := uint64(1) // the first two are never free
	for e := range slices.Chunk(elements, 8) {
		id := uint64At(e, 0)
		if id <= last || id >= p.end || p.used[id] {
			return errFree
		}
		last = id
	}
	return nil
}
