package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"

	"go.etcd.io/bbolt"
)

// What is here reads pages of bbolt's file (version 2) for checks that bbolt leaves
// out: it follows pages blindly, so that one that leads back to a page above it would
// keep it busy for good, and it writes over pages that its list of free ones names,
// also if they are in use.

const (
	pageHeader  = 16 // id, flags, count, overflow
	pageElement = 16 // of a branch: position, size of the key, id of the page below
	branchPage  = 1
	leafPage    = 2
	freePages   = 16
	metaSize    = 64
)

// pages reads the pages of an open file.
type pages struct {
	file     io.ReaderAt
	pageSize int64
	buf      []byte   // of a page
	used     []uint64 // a bit for each page that is part of a tree
	end      uint64   // pages there are
}

// checkPages makes sure that the pages of the file are trees, and that none of them
// counts as free. It reads the branches, one of a hundred pages.
func checkPages(file io.ReaderAt, tx *bbolt.Tx) error {
	size := tx.DB().Info().PageSize
	p := &pages{file: file, pageSize: int64(size), buf: make([]byte, size)}
	root, free, err := p.meta()
	if err != nil {
		return err
	}
	p.used = make([]uint64, p.end/64+1)
	if err := p.tree(root); err != nil {
		return err
	}
	for _, name := range [][]byte{peopleBucket, metaBucket, textsBucket} {
		b := tx.Bucket(name)
		if b == nil || b.Root() == 0 { // it is part of the page above
			continue
		}
		if err := p.tree(uint64(b.Root())); err != nil {
			return err
		}
	}
	return p.free(free)
}

// meta reads the newer one of the two pages that lead to all others.
func (p *pages) meta() (root, free uint64, err error) {
	newest := uint64(0)
	for i := range int64(2) {
		m := make([]byte, metaSize)
		if _, err := p.file.ReadAt(m, i*p.pageSize+pageHeader); err != nil {
			return 0, 0, err
		}
		field := func(at int) uint64 { return binary.NativeEndian.Uint64(m[at:]) }
		h := fnv.New64a()
		h.Write(m[:metaSize-8])
		if h.Sum64() == field(56) && field(48) >= newest {
			root, free, p.end, newest = field(16), field(32), field(40), field(48)
		}
	}
	if root == 0 {
		return 0, 0, errors.New("both of its first pages are damaged")
	}
	return root, free, nil
}

// page reads a page: its kind, and as many entries behind its head as it has, which
// are good until the next one is read.
func (p *pages) page(id uint64, entry int) (kind uint16, entries []byte, err error) {
	if _, err := p.file.ReadAt(p.buf, int64(id)*p.pageSize); err != nil {
		return 0, nil, err
	}
	kind = binary.NativeEndian.Uint16(p.buf[8:])
	count := int(binary.NativeEndian.Uint16(p.buf[10:]))
	first := pageHeader
	switch {
	case binary.NativeEndian.Uint64(p.buf) != id:
		return 0, nil, fmt.Errorf("page %d says that it is another", id)
	case kind == leafPage:
		return kind, nil, nil
	case kind == freePages && count == 0xffff: // then the number is the first entry
		first += entry
		count = int(min(binary.NativeEndian.Uint64(p.buf[pageHeader:]), p.end))
	}
	if first+count*entry <= len(p.buf) {
		return kind, p.buf[first : first+count*entry], nil
	}
	entries = make([]byte, count*entry) // a page with more pages behind it
	_, err = p.file.ReadAt(entries, int64(id)*p.pageSize+int64(first))
	return kind, entries, err
}

// tree goes through the branches below a page level by level: all pages of a level
// are of one kind.
func (p *pages) tree(root uint64) error {
	level := []uint64{root}
	if err := p.use(root); err != nil {
		return err
	}
	for {
		var below []uint64
		for _, id := range level {
			kind, entries, err := p.page(id, pageElement)
			switch {
			case err != nil:
				return err
			case kind == leafPage && id == level[0]:
				return nil
			case kind != branchPage || len(entries) == 0:
				return fmt.Errorf("page %d is of the wrong kind", id)
			}
			for at := 8; at < len(entries); at += pageElement {
				child := binary.NativeEndian.Uint64(entries[at:])
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
	case p.isUsed(id):
		return fmt.Errorf("page %d is in two places", id)
	}
	p.used[id/64] |= 1 << (id % 64)
	return nil
}

func (p *pages) isUsed(id uint64) bool { return p.used[id/64]&(1<<(id%64)) != 0 }

// free checks the list of free pages, which is at a page.
func (p *pages) free(id uint64) error {
	if id >= p.end {
		return errors.New("the list of free pages is not there")
	}
	kind, entries, err := p.page(id, 8)
	switch {
	case err != nil:
		return err
	case kind != freePages:
		return errors.New("the list of free pages is not there")
	}
	last := uint64(1) // the first two are never free
	for at := 0; at < len(entries); at += 8 {
		free := binary.NativeEndian.Uint64(entries[at:])
		if free <= last || free >= p.end || free == id || p.isUsed(free) {
			return errors.New("the list of free pages does not add up")
		}
		last = free
	}
	return nil
}
