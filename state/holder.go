package state

import (
	"encoding/json"
	"io"
	"os"
	"time"
)

// holder is the note beside an open state that names who has it open. The lock
// itself is bbolt's on the file (flock, LockFileEx), which ends with its process:
// a note that a crash left behind blocks nobody. On NFS the lock is only as good
// as the server's; the state belongs on a local disk.
type holder struct {
	PID   int       `json:"pid"` // 0: not known
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

func holderPath(path string) string { return path + ".holder" }

// writeHolder leaves the note. Without it, or with half of it, a second run still ends,
// only less clearly: failing to write it is no error.
func writeHolder(path string) holder {
	host, _ := os.Hostname()
	h := holder{PID: os.Getpid(), Host: host, Since: time.Now().Truncate(time.Second)}
	os.Remove(holderPath(path)) // an old note would name the wrong process
	if f, err := os.OpenFile(holderPath(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		json.NewEncoder(f).Encode(h)
		f.Close()
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
