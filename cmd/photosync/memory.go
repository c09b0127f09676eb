package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// memoryTarget is what the program aims to stay under. The collector's own rule
// would let it take twice what it needs.
const memoryTarget = 64 << 20

// frugal keeps the program near memoryTarget, or a third above what it needs once that
// is more: under a limit close to its need the collector would run all the time.
func frugal() {
	if os.Getenv("GOMEMLIMIT") == "" {
		(&limit{sample: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}).follow()
	}
}

// limit is that of the memory.
type limit struct {
	bytes  int64
	sample []metrics.Sample
}

// follow sets the limit by what the last collection left, and again after the next.
func (l *limit) follow() {
	metrics.Read(l.sample)
	need := int64(l.sample[0].Value.Uint64())
	if bytes := max(memoryTarget, need+need/3); bytes > l.bytes || bytes < l.bytes-l.bytes/8 {
		l.bytes = bytes
		debug.SetMemoryLimit(bytes)
	}
	runtime.AddCleanup(new([64]byte), (*limit).follow, l)
}
