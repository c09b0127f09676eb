package smartsheet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// tokenFile is the file of a refresh token, which is good for one use. Beside it
// lie
//
//	FILE.lock        held while the token is used
//	FILE.<hash>.new  the token that replaces the one with this hash, until it is
//	                 renamed to FILE; what a run left there when it was killed
//	                 counts, for the old one is spent
//	FILE.access      the access token that came with it, for the next run: with it,
//	                 a token rotates once a week and not with every command, and
//	                 plan does not take away the access token of a sync that runs
//
// All have mode 0600. Whoever can read the refresh token can get an access token;
// the last file gives nothing more away.
type tokenFile struct {
	path  string
	owner string // client id: an access token of another app is not this one's
}

// locked calls f while no other process uses the token.
func (t *tokenFile) locked(f func() error) error {
	real, err := filepath.EvalSymlinks(t.path)
	if err != nil {
		return fileError("read", t.path, err)
	}
	t.path = real
	lock, err := lockedfile.OpenFile(real+".lock", os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return fileError("lock", real+".lock", err)
	}
	defer lock.Close()
	if err := keepOwner(lock, real); err != nil {
		return fileError("lock", real+".lock", err)
	}
	return f()
}

// read returns the refresh token, and first finishes what a killed run began.
func (t *tokenFile) read() (string, error) {
	data, err := os.ReadFile(t.path)
	if err != nil {
		return "", fileError("read", t.path, err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return "", fmt.Errorf("read %q: want one line with the refresh token and nothing else", t.path)
	}
	next := t.next(token)
	if data, err = os.ReadFile(next); err != nil {
		return token, nil
	}
	whole, ok := bytes.CutSuffix(bytes.TrimRight(data, "\x00"), []byte("\n"))
	if !ok {
		return token, nil // it had not been written yet
	}
	return string(whole), t.put(next)
}

// next is the name of the file of the token that replaces this one.
func (t *tokenFile) next(token string) string {
	sum := sha256.Sum256([]byte(token))
	return t.path + "." + hex.EncodeToString(sum[:8]) + ".new"
}

// put renames next to the file, for good.
func (t *tokenFile) put(next string) error {
	if err := os.Rename(next, t.path); err != nil {
		return fileError("replace", t.path, err)
	}
	if runtime.GOOS == "windows" { // offers no sync of a folder
		return nil
	}
	dir, err := os.Open(filepath.Dir(t.path))
	if err != nil {
		return fileError("sync", filepath.Dir(t.path), err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fileError("sync", filepath.Dir(t.path), err)
	}
	return nil
}

// reservation is room on the disk for a token that replaces another.
type reservation struct {
	t    *tokenFile
	file *os.File
	done bool
}

// reservedBytes is more than a token takes.
const reservedBytes = 4096

// reserve makes the file of the token that will replace this one.
func (t *tokenFile) reserve(token string) (*reservation, error) {
	name := t.next(token)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fileError("replace", t.path, err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fileError("replace", t.path, err)
	}
	r := &reservation{t: t, file: f}
	_, err = f.Write(make([]byte, reservedBytes))
	if err = errors.Join(err, f.Sync(), keepOwner(f, t.path)); err != nil {
		r.abandon()
		return nil, fileError("replace", t.path, err)
	}
	return r, nil
}

// store makes token the one in the file; it is durable when store returns.
func (r *reservation) store(token string) error {
	line := []byte(token + "\n")
	_, err := r.file.WriteAt(line, 0)
	// From here on the file is whole, and may not be lost.
	r.done = err == nil
	if err = errors.Join(err, r.file.Truncate(int64(len(line))), r.file.Sync(), r.file.Close()); err != nil {
		return fileError("replace", r.t.path, err)
	}
	return r.t.put(r.file.Name())
}

// abandon gives the room back, unless a token was stored in it.
func (r *reservation) abandon() {
	if r.done {
		return
	}
	_ = r.file.Close()
	_ = os.Remove(r.file.Name()) // an empty one means nothing to the next run
}

// memo is what FILE.access holds.
type memo struct {
	For string `json:"for"` // hash of the refresh token that came with it
	access
}

func (t *tokenFile) memoKey(refresh string) string {
	sum := sha256.Sum256([]byte(t.owner + "\n" + refresh))
	return hex.EncodeToString(sum[:])
}

// remember keeps the access token for the next run. Where that fails, the next run
// gets one of its own.
func (t *tokenFile) remember(refresh string, a access) {
	if a.RenewAt.IsZero() {
		return
	}
	data, err := json.Marshal(memo{t.memoKey(refresh), a})
	if err != nil {
		return
	}
	name := t.path + ".access"
	tmp := name + ".tmp"
	_ = os.Remove(tmp)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if errors.Join(err, keepOwner(f, t.path), f.Close()) == nil {
		_ = os.Rename(tmp, name)
	}
}

// remembered is the access token that came with refresh; the zero value if it is
// not known.
func (t *tokenFile) remembered(refresh string) access {
	var m memo
	data, err := os.ReadFile(t.path + ".access")
	if err != nil || json.Unmarshal(data, &m) != nil || m.For != t.memoKey(refresh) ||
		strings.ContainsFunc(m.Token, unicode.IsControl) {
		return access{}
	}
	m.access.remembered = true
	return m.access
}

// fileError drops the operation and path that err repeats.
func fileError(op, path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	} else if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	return fmt.Errorf("%s %q: %w", op, path, err)
}

func tokenFileHint(path string) string {
	return "the user that runs photosync must be able to replace " + path + ": put it into a folder of that user's own, not into a read-only mount"
}
