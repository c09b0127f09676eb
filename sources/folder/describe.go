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
)

// Describe implements sources.Describer: what a look at the file tells, and the
// line of the mapping file that names it.
func (s *Source) Describe(ctx context.Context, ref sources.Ref) ([]sources.Fact, error) {
	root, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := nameOf(ref)
	file := filepath.Join(s.o.Path, filepath.FromSlash(name))
	if !isText(file) || !norm.NFC.IsNormalString(file) { // two may look the same
		file = strconv.QuoteToASCII(file)
	}
	told := []sources.Fact{{Name: "path", Value: sources.Text(file)}}
	tell := func(name, format string, args ...any) {
		told = append(told, sources.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	fi, err := root.Lstat(name)
	if err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		if to, err := root.Readlink(name); err == nil {
			tell("link to", "%s", sources.Text(to))
		}
		fi, err = root.Stat(name)
	}
	if err != nil { // reading it has told why, too
		tell("file", "%v", cause(err))
		return told, nil
	}
	s.describeFile(fi, tell)
	if s.o.MappingFile == "" {
		return told, nil
	}
	names, err := s.loadMapping(root)
	if err != nil {
		return nil, err
	}
	base := path.Base(name)
	stem, _ := photoName(base)
	if l, i := names.find(base, stem); i >= 0 {
		tell("mapping", "%s, line %d: %s, %s", sources.Text(s.mappingPath()), l.line, sources.Text(names.key(l)), sources.Text(names.email(l)))
	}
	return told, nil
}

func (s *Source) describeFile(fi os.FileInfo, tell func(name, format string, args ...any)) {
	f := factsOf(fi)
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
	tell("size", "%d bytes", f.size)
	tell("modified", "%s", at(f.modified))
	if f.changed != 0 {
		tell("changed", "%s (of the inode)", at(f.changed))
	}
	if f.inode != 0 {
		tell("inode", "%d", f.inode)
	}
	if wait := max(clockGranularity, s.o.MinAge); f.age(time.Now()) < wait {
		tell("age", "less than %v: too young for a stamp", wait)
	}
}
