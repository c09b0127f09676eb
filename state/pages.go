package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"

	"go.etcd.io/bbolt"
)

// This file reads bbolt's own pages (file format 2), for damage that the checksums of
// the rows cannot show, and that bbolt does not look for:
//   - of the two meta pages bbolt takes the newest that is sound: damage to the newest
//     one would roll back the last transaction without a word;
//   - a page that leads back to one above it keeps bbolt busy until it has no stack;
//   - a page that leads to a free one shows rows as they once were;
//   - bbolt writes over the pages that its list of free ones names, also if they are
//     in use.
const (
	pageHeader = 16 // id, flags, count, overflow
	metaSize   = 64

	branchPage = 1
	leafPage   = 2
	freePages  = 16
)

// pages reads the pages of an open file.
type pages struct {
	file io.ReaderAt
	size int64  // of a page
	end  uint64 // number of pages
	used []bool // the pages that are part of a tree
}

// checkPages makes sure that the pages of the file are trees, and that none of them
// counts as free. It reads the branches, one of a hundred pages.
func checkPages(file io.ReaderAt, tx *bbolt.Tx) (*pages, error) {
	p := &pages{file: file, size: int64(tx.DB().Info().PageSize)}
	root, free, err := p.meta()
	if err != nil {
		return nil, err
	}
	p.used = make([]bool, p.end)
	roots := []uint64{root}
	for _, name := range [][]byte{people, users, facts} {
		if b := tx.Bucket(name); b != nil && b.Root() != 0 { // 0: it is part of the page above
			roots = append(roots, uint64(b.Root()))
		}
	}
	for _, root := range roots {
		if err := p.tree(root); err != nil {
			return nil, err
		}
	}
	return p, p.free(free)
}

// meta reads the newer one of the two pages that lead to all others. Both are sound
// in every file that bbolt has written, also after a crash: a page is written in one
// piece, and the other one is left alone.
func (p *pages) meta() (root, free uint64, err error) {
	newest := uint64(0)
	for i := range int64(2) {
		m := make([]byte, metaSize)
		if _, err := p.file.ReadAt(m, i*p.size+pageHeader); err != nil {
			return 0, 0, err
		}
		field := func(at int) uint64 { return binary.NativeEndian.Uint64(m[at:]) }
		h := fnv.New64a()
		h.Write(m[:metaSize-8])
		if h.Sum64() != field(56) {
			return 0, 0, errors.New("one of its two first pages does not match its checksum: the last change may be lost")
		}
		if transaction := field(48); transaction >= newest {
			root, free, p.end, newest = field(16), field(32), field(40), transaction
		}
	}
	return root, free, nil
}

// page reads a page: its kind, and its elements if it has some of this size.
func (p *pages) page(id uint64, element int) (kind uint16, elements []byte, err error) {
	head := make([]byte, p.size)
	if _, err := p.file.ReadAt(head, int64(id)*p.size); err != nil {
		return 0, nil, err
	}
	kind = binary.NativeEndian.Uint16(head[8:])
	count, first := int(binary.NativeEndian.Uint16(head[10:])), pageHeader
	switch {
	case binary.NativeEndian.Uint64(head) != id:
		return 0, nil, fmt.Errorf("page %d says that it is another", id)
	case kind == leafPage:
		return kind, nil, nil
	case kind == freePages && count == 0xffff: // then the number is the first element
		count, first = int(min(binary.NativeEndian.Uint64(head[first:]), p.end)), first+element
	}
	if end := first + count*element; end <= len(head) {
		return kind, head[first:end], nil
	}
	elements = make([]byte, count*element) // more pages follow this one
	_, err = p.file.ReadAt(elements, int64(id)*p.size+int64(first))
	return kind, elements, err
}

// tree goes through the branches below a page level by level: all pages of a level
// are of one kind.
func (p *pages) tree(root uint64) error {
	if err := p.use(root); err != nil {
		return err
	}
	for level := []uint64{root}; ; {
		var below []uint64
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
			for at := 8; at < len(elements); at += 16 {
				child := binary.NativeEndian.Uint64(elements[at:])
				if err := p.use(child); err != nil {
					return err
				}
				below = append(below, child)
			}
		}
		level = below
	}
}

// use notes that a page is part of a tree; it can be part of one only once.
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

// free checks the list of free pages, which is at a page, and that every page is part
// of something.
func (p *pages) free(id uint64) error {
	var kind uint16
	var elements []byte
	err := errors.New("the list of free pages is missing")
	if id < p.end && !p.used[id] {
		kind, elements, err = p.page(id, 8)
	}
	if err == nil && kind != freePages {
		err = fmt.Errorf("page %d is of the wrong kind", id)
	}
	if err != nil {
		return err
	}
	free, last := make([]bool, p.end), uint64(1) // the first two are never free
	for at := 0; at < len(elements); at += 8 {
		id := binary.NativeEndian.Uint64(elements[at:])
		if id <= last || id >= p.end || p.used[id] {
			return errors.New("the list of free pages is wrong")
		}
		free[id], last = true, id
	}
	p.used[id] = true
	return p.rest(free)
}

// rest makes sure that every page that is neither part of a tree nor free belongs to
// the page before it, which needs more than one: a branch that has lost some of its
// elements would lose the rows below them.
func (p *pages) rest(free []bool) error {
	end, head := uint64(2), make([]byte, pageHeader) // end: of the page before, with those that belong to it
	for id, last := uint64(2), uint64(0); id < p.end; id++ {
		switch {
		case p.used[id] || free[id]:
			last, end = id, 0
			continue
		case end == 0 && p.used[last]:
			if _, err := p.file.ReadAt(head, int64(last)*p.size); err != nil {
				return err
			}
			end = last + 1 + uint64(binary.NativeEndian.Uint32(head[12:]))
		}
		if id >= end {
			return fmt.Errorf("page %d belongs to nothing", id)
		}
	}
	return nil
}
