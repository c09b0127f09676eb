package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// memoryTarget is what the program aims to stay under, beside some 16 MB for its code.
// The collector's own rule would let it take twice what it needs.
const memoryTarget = 40 << 20

// frugal keeps the program near memoryTarget, or a third above what it needs once that
// is more: under a limit close to its need the collector would run all the time.
func frugal() {
	if os.Getenv("GOMEMLIMIT") == "" {
		(&limit{sample: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}).follow()
	}
}

func limitFor(need uint64) int64 { return int64(max(memoryTarget, need+need/3)) }

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
