package state

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"
)

// holder is the note beside an open state that names who has it open. The lock
// itself is bbolt's on the file (flock, LockFileEx), which ends with its process:
// a note that a crash left behind blocks nobody. On NFS the lock is only as good
// as the server's; the state belongs on a local disk.
type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

func holderPath(path string) string { return path + ".holder" }

// writeHolder leaves the note. Without it a second run still ends, only less
// clearly: failing to write it is no error. It is renamed into place, so that
// nobody reads half a note, and that of another user is replaced too.
func writeHolder(path string) holder {
	host, _ := os.Hostname()
	h := holder{PID: os.Getpid(), Host: host, Since: time.Now().Truncate(time.Second)}
	data, err := json.Marshal(h)
	if err != nil {
		return h
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".holder-*") // mode 0600
	if err != nil {
		return h
	}
	_, err = f.Write(data)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), holderPath(path))
	}
	if err != nil {
		os.Remove(f.Name())
		// An old note would name the wrong process.
		os.Remove(holderPath(path))
	}
	return h
}

// remove takes the note away, unless another reader has left its own since.
func (h holder) remove(path string) {
	if now := readHolder(path); now.PID == h.PID && now.Host == h.Host {
		os.Remove(holderPath(path))
	}
}

// readHolder returns the zero holder if there is no readable note.
func readHolder(path string) (h holder) {
	f, err := os.OpenFile(holderPath(path), os.O_RDONLY|noFollow, 0)
	if err != nil {
		return holder{}
	}
	defer f.Close()
	if json.NewDecoder(io.LimitReader(f, 4096)).Decode(&h) != nil {
		return holder{}
	}
	return h
}

func lockedError(path string) error {
	h := readHolder(path)
	return &LockedError{Path: path, PID: h.PID, Host: h.Host, Since: h.Since}
}
