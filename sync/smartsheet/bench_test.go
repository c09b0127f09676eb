package smartsheet

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// benchServer, in the environment, makes TestMain the server of BenchmarkUpload,
// so that the CPU time measured is the client's alone.
const benchServer = "PHOTOSYNC_BENCH_SERVER"

func serveBench() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, success)
	}))
	_, _ = io.WriteString(os.Stdout, srv.URL+"\n")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark is over
	srv.Close()
}

// BenchmarkUpload uploads pictures of 20 KB over loopback and reports what that
// costs this process.
func BenchmarkUpload(b *testing.B) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchServer+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	line := make([]byte, 64)
	n, err := stdout.Read(line)
	if err != nil {
		b.Fatal(err)
	}
	transport, err := NewTransport("")
	if err != nil {
		b.Fatal(err)
	}
	c, err := New(Options{
		BaseURL: strings.TrimSpace(string(line[:n])) + "/2.0", Transport: transport, Token: testToken,
		RequestsPerMinute: 1e9, Timeout: time.Minute, Grace: time.Second,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	img := Image{Data: make([]byte, 20_000), ContentType: "image/jpeg", FileName: "a@example.com.jpg"}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime(b)
	for b.Loop() {
		if _, err := c.SetProfileImage(b.Context(), User{ID: testID}, img); err != nil {
			b.Fatal(err)
		}
	}
	used := cpuTime(b) - cpu
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.N)/used.Seconds(), "uploads/cpu-s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N), "alloc-B/op")
}
