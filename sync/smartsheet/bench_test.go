//go:build unix

package smartsheet

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkUpload uploads pictures of 20 KB over loopback, by one worker or as many as a
// run has, and reports what an upload costs this process; and the same for net/http
// alone, without tokens, quota, deadlines or a look into the answer.
func BenchmarkUpload(b *testing.B) {
	url := benchURL(b)
	c, err := New(Options{BaseURL: url, Transport: NewTransport(nil), Token: testToken, RequestsPerMinute: 1e9, Timeout: time.Minute, Grace: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	img := Image{Data: make([]byte, 20_000), ContentType: "image/jpeg", FileName: "a@example.com.jpg"}
	upload := func() error {
		_, err := c.Upload(b.Context(), User{ID: testID}, img, time.Time{})
		return err
	}
	bare := &http.Client{Transport: c.o.Transport}
	post := func() error {
		resp, err := bare.Post(url+"/users/1/profileimage", img.ContentType, bytes.NewReader(img.Data))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return err
	}
	b.Run("workers=4", func(b *testing.B) { cost(b, 4, upload) })
	b.Run("workers=1", func(b *testing.B) { cost(b, 1, upload) })
	b.Run("net-http/workers=4", func(b *testing.B) { cost(b, 4, post) })
}

// cost lets workers do one after the other until b has enough.
func cost(b *testing.B, workers int, one func() error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime(b)
	var begun atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range workers {
		wg.Go(func() {
			for begun.Add(1) <= int64(b.N) {
				if err := one(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	used := cpuTime(b) - cpu
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.N)/used.Seconds(), "uploads/cpu-s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N), "alloc-B/op")
}

// benchURL is the address of a server in a process of its own.
func benchURL(b *testing.B) string {
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
	b.Cleanup(func() { stdin.Close(); cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line) + "/2.0"
}
