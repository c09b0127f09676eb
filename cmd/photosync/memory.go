package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// headroom is the least that the program may take beside what it needs. The
// collector's own rule would let it take as much again.
const headroom = 20 << 20

// frugal keeps the program at headroom, or a third, above what it needs: under a limit
// close to its need the collector would run all the time.
func frugal() {
	if os.Getenv("GOMEMLIMIT") == "" {
		(&limit{sample: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}).follow()
	}
}

func limitFor(need uint64) int64 { return int64(need + max(headroom, need/3)) }

// limit is that of the memory.
type limit struct {
	bytes  int64
	sample []metrics.Sample
}

// follow sets the limit by what the last collection left, and again after the next.
func (l *limit) follow() {
	metrics.Read(l.sample)
	if bytes := limitFor(l.sample[0].Value.Uint64()); bytes > l.bytes || bytes < l.bytes-l.bytes/8 {
		l.bytes = bytes
		debug.SetMemoryLimit(bytes)
	}
	runtime.AddCleanup(new([64]byte), (*limit).follow, l)
}
