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
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/lockedfile"
	"golang.org/x/oauth2"
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
		return err
	}
	t.path = real
	lock, err := lockedfile.OpenFile(real+".lock", os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := keepOwner(lock, real); err != nil {
		return err
	}
	return f()
}

// read returns the refresh token, and first finishes what a killed run began.
func (t *tokenFile) read() (string, error) {
	data, err := os.ReadFile(t.path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, notInToken) {
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
	return string(whole), replace(next, t.path)
}

func notInToken(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }

// next is the name of the file of the token that replaces this one.
func (t *tokenFile) next(token string) string {
	sum := sha256.Sum256([]byte(token))
	return t.path + "." + hex.EncodeToString(sum[:8]) + ".new"
}

// reserve makes the file of the token that will replace this one.
func (t *tokenFile) reserve(token string) (*reservation, error) {
	name := t.next(token)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return reserve(name, t.path)
}

// memo is what FILE.access holds.
type memo struct {
	For    string    `json:"for"` // hash of the refresh token that came with it
	Token  string    `json:"access_token"`
	Expiry time.Time `json:"expiry"`
}

func (t *tokenFile) memoKey(refresh string) string {
	sum := sha256.Sum256([]byte(t.owner + "\n" + refresh))
	return hex.EncodeToString(sum[:])
}

// remember keeps the access token for the next run. Where that fails, the next run
// gets one of its own.
func (t *tokenFile) remember(got *oauth2.Token) {
	data, err := json.Marshal(memo{t.memoKey(got.RefreshToken), got.AccessToken, got.Expiry})
	if err != nil || got.Expiry.IsZero() {
		return
	}
	name := t.path + ".access"
	tmp := name + ".tmp"
	_ = os.Remove(tmp)
	f, err := create(tmp, t.path)
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if errors.Join(err, f.Close()) == nil {
		_ = os.Rename(tmp, name)
	}
}

// remembered is the access token that came with refresh; nil if it is not known.
func (t *tokenFile) remembered(refresh string) *oauth2.Token {
	var m memo
	data, err := os.ReadFile(t.path + ".access")
	if err != nil || json.Unmarshal(data, &m) != nil || m.For != t.memoKey(refresh) || strings.ContainsFunc(m.Token, notInToken) {
		return nil
	}
	return &oauth2.Token{AccessToken: m.Token, Expiry: m.Expiry}
}

// create makes a file, which belongs to the owner of the file like. It is an error if
// there is something of this name: a link could lead anywhere.
func create(name, like string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := keepOwner(f, like); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(name))
	}
	return f, nil
}

// replace renames the file next to path, for good.
func replace(next, path string) error {
	err := os.Rename(next, path)
	if err != nil || runtime.GOOS == "windows" { // which offers no sync of a folder
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// reservation is room on the disk for a refresh token that nobody has yet.
type reservation struct {
	file *os.File
	path string // where it belongs
	kept bool
}

// reservedBytes is more than a token takes.
const reservedBytes = 4096

// reserve makes the file name for a token that belongs to path.
func reserve(name, path string) (*reservation, error) {
	f, err := create(name, path)
	if err != nil {
		return nil, err
	}
	r := &reservation{file: f, path: path}
	_, err = f.Write(make([]byte, reservedBytes))
	if err = errors.Join(err, f.Sync()); err != nil {
		r.discard()
		return nil, err
	}
	return r, nil
}

// keep makes token the one in the file; it is durable when keep returns.
func (r *reservation) keep(token string) error {
	line := []byte(token + "\n")
	_, err := r.file.WriteAt(line, 0)
	r.kept = err == nil // from here on the file is whole, and may not be lost
	if err = errors.Join(err, r.file.Truncate(int64(len(line))), r.file.Sync(), r.file.Close()); err != nil {
		return err
	}
	return replace(r.file.Name(), r.path)
}

// discard gives the room back, unless a token was kept in it.
func (r *reservation) discard() {
	if !r.kept {
		_ = r.file.Close()
		_ = os.Remove(r.file.Name()) // an empty one means nothing to the next run
	}
}
