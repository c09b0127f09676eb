package folder

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/text/unicode/norm"

	"photosync/sources"
	"photosync/sync/foreign"
)

// Describe implements sources.Describer: size, times and inode of the file, and the
// line of the mapping file that names it.
func (s *Source) Describe(ctx context.Context, ref sources.Ref) (facts []sources.Fact, err error) {
	c := caller[[]sources.Fact]{each: func(f []sources.Fact) error { facts = f; return nil }}
	err = c.wait(ctx, func() error {
		root, err := s.open()
		if err != nil {
			return err
		}
		defer root.Close()
		f, err := s.describe(root, nameOf(ref))
		if err != nil {
			return err
		}
		return c.take(ctx, f)
	})
	return facts, err
}

func (s *Source) describe(root *os.Root, name string) (facts []sources.Fact, err error) {
	add := func(name, format string, args ...any) {
		facts = append(facts, sources.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	file := filepath.Join(s.o.Path, filepath.FromSlash(name))
	if !isText(file) || !norm.NFC.IsNormalString(file) { // two may look the same
		file = strconv.QuoteToASCII(file)
	}
	add("path", "%s", sources.Text(file))
	fi, err := root.Lstat(name)
	if err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		if to, err := root.Readlink(name); err == nil {
			add("link to", "%s", sources.Text(to))
		}
		fi, err = root.Stat(name)
	}
	if err != nil {
		add("file", "%v", foreign.WithoutPath(err))
		return facts, nil
	}
	f := factsOf(fi)
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
	add("size", "%d bytes", f.size)
	add("modified", "%s", at(f.modified))
	if f.inode != 0 { // known here
		add("changed", "%s (of the inode)", at(f.changed))
		add("inode", "%d", f.inode)
	}
	if wait := max(clockGranularity, s.o.MinAge); f.age(time.Now()) < wait {
		add("age", "less than %v: too young for a stamp", wait)
	}
	if s.o.MappingFile == "" {
		return facts, nil
	}
	names, err := s.loadMapping(root)
	if err != nil {
		return nil, err
	}
	base := path.Base(name)
	if key, l := names.find(base, stem(base)); l != nil {
		add("mapping", "%s, line %d: %s, %s", sources.Text(s.mappingPath()), l.line, sources.Text(key), sources.Text(l.email))
	}
	return facts, nil
}
