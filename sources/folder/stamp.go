package folder

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io/fs"
	"time"
)

// clockGranularity is how coarse the time stamps of common file systems are (2 s
// on FAT and some shares). A file written within that time before it was listed
// could be written again without a new stamp, so it gets none.
const clockGranularity = 2 * time.Second

// facts are what stat tells about a file.
type facts struct {
	kind     fs.FileMode // its type bits
	size     int64
	modified int64  // Unix time in ns, which programs may set
	changed  int64  // of the inode, which they may not; 0: not known here
	inode    uint64 // 0: not known here
}

// factsOf returns the facts of a file that was opened or found through a link.
func factsOf(fi fs.FileInfo) facts {
	f := facts{kind: fi.Mode().Type(), size: fi.Size(), modified: fi.ModTime().UnixNano()}
	f.changed, f.inode = changeTime(fi)
	return f
}

// age is how long before now the file was last written. A copy that keeps the
// time of its original (cp -p, rsync -t) is still a new file, and one that is
// dated in the future an old one.
func (f facts) age(now time.Time) time.Duration {
	age := time.Duration(now.UnixNano() - cmp.Or(f.changed, f.modified))
	if age < -24*time.Hour {
		return -age // the clock was ahead then, and would be waited for
	}
	return age
}

// mark is the stamp of a file that is old enough for one.
func (f facts) mark(name string, now time.Time, minAge time.Duration) string {
	if f.age(now) < max(clockGranularity, minAge) {
		return ""
	}
	return f.stamp(name)
}

// stamp is the change mark of the file called name: a hash of what git's index and
// rsync compare, and of the name, so that another file never has the same.
func (f facts) stamp(name string) string {
	b := make([]byte, 0, 128)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.size))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.modified))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.changed))
	b = binary.LittleEndian.AppendUint64(b, f.inode)
	sum := sha256.Sum256(append(b, name...))
	var text [16]byte
	base64.RawURLEncoding.Encode(text[:], sum[:12])
	return string(text[:])
}
