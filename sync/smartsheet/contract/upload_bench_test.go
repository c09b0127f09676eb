package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const people, token = 400, "t" // in BenchmarkUploads

// BenchmarkUploads lets photosync upload the pictures of 400 people with so many workers
// to a simulator that answers each upload after 20 ms, beside the official SDK with as
// many uploads at a time, and with one after another. All are whole processes.
// "ns/upload" is what one worker takes for an upload: the same with any number of workers,
// if they do not get in each other's way. "x-sdk-cpu" compares the time of the processor:
// a run also checks each picture, keeps a state and writes a report.
//
//	SDK=/folder WORKERS=8 go test -run '^$' -bench Uploads -benchtime 1x .
func BenchmarkUploads(b *testing.B) {
	workers := 4
	if text := os.Getenv("WORKERS"); text != "" {
		var err error
		if workers, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	folder := jpegs(b)
	// Small ids: the SDK reads them as numbers of JavaScript.
	base := simulate(b, "--token", token, "--users", strconv.Itoa(people), "--first-user-id", "1000", "--fault", "slow,delay=20ms")
	var ours, sdk, inTurn spent
	for b.Loop() {
		ours.add(b, firstRun(b, base, token, folder, workers))
		sdk.add(b, upload(base, token, folder, workers))
		inTurn.add(b, upload(base, token, folder, 1))
	}
	b.ReportMetric(float64(ours.time.Nanoseconds())*float64(workers)/float64(b.N*people), "ns/upload")
	b.ReportMetric(float64(ours.time)/float64(sdk.time), "x-sdk")
	b.ReportMetric(float64(ours.time)/float64(inTurn.time), "x-sdk-in-turn")
	b.ReportMetric(float64(ours.cpu)/float64(sdk.cpu), "x-sdk-cpu")
}

// jpegs is a folder with a photo of 20 KB for everybody.
func jpegs(b *testing.B) (folder string) {
	folder = b.TempDir()
	for i := range people {
		grain := rand.NewPCG(1, uint64(i))
		img := image.NewGray(image.Rect(0, 0, 150, 150))
		for j := range img.Pix {
			img.Pix[j] = byte(grain.Uint64())
		}
		var data bytes.Buffer
		if err := jpeg.Encode(&data, img, &jpeg.Options{Quality: 90}); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("user%04d@example.com.jpg", i+1)), data.Bytes(), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return folder
}

// firstRun is a run of photosync over a folder without a state.
func firstRun(b *testing.B, base, token, folder string, workers int) *exec.Cmd {
	work := b.TempDir()
	config := fmt.Sprintf("smartsheet: {base_url: %q, requests_per_minute: 100000, concurrency: %d}\nsources: [{name: hr, type: folder, path: %q}]\nstate: {path: state.db}\nreport: {dir: reports}\n", base, workers, folder)
	if err := os.WriteFile(filepath.Join(work, "config.yaml"), []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(photosync, "sync", "--output", "json", "--log-level", "error")
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "SMARTSHEET_ACCESS_TOKEN="+token)
	return cmd
}

// upload is a run of the SDK over the same folder.
func upload(base, token, folder string, atATime int) *exec.Cmd {
	return exec.Command("node", "sdk/upload.cjs", os.Getenv("SDK"), base+"/", token, folder, strconv.Itoa(atATime))
}

// spent is what processes took together.
type spent struct{ time, cpu time.Duration }

// add runs a process, which has to upload all pictures.
func (s *spent) add(b *testing.B, cmd *exec.Cmd) {
	cmd.Stderr = os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	s.time += time.Since(start)
	if err != nil {
		b.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
	s.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1]
	var r struct{ Totals struct{ Uploaded int } }
	if last != strconv.Itoa(people) && (json.Unmarshal([]byte(last), &r) != nil || r.Totals.Uploaded != people) {
		b.Fatalf("%q did not upload all pictures: %s", cmd.Args, last)
	}
}
