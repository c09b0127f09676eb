package photo

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/adler32"
	"image"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What would take too much memory is refused before any is taken, even where
// the number of pixels is allowed.
func TestMemoryBound(t *testing.T) {
	progressive := file(t, "progressive.jpg")
	i := bytes.Index(progressive, []byte{0xff, 0xc2})
	binary.BigEndian.PutUint16(progressive[i+5:], 8000)
	binary.BigEndian.PutUint16(progressive[i+7:], 8000)
	for name, data := range map[string][]byte{
		"progressive jpeg": progressive,
		"16-bit png":       resized("png", file(t, "16bit.png"), 8000, 8000),
		"interlaced png":   resized("png", file(t, "interlaced.png"), 7500, 7500),
		"png":              resized("png", encoded(t, 8, 8)["png"], 1<<31-1, 1<<31-1),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Prepare(t.Context(), data, Options{MaxEdge: 1050, MaxPixels: 1<<63 - 1})
		runtime.ReadMemStats(&after)
		if got := code(t, err); got != TooManyPixels {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}

// Where nothing is scaled down, the result takes memory as well.
func TestMemoryOfResult(t *testing.T) {
	data := withSegments(file(t, "progressive.jpg"), segment(0xe1, "Exif\x00\x00"+exif(binary.BigEndian, 6)))
	i := bytes.Index(data, []byte{0xff, 0xc2})
	binary.BigEndian.PutUint16(data[i+5:], 7000)
	binary.BigEndian.PutUint16(data[i+7:], 7000)
	if l, err := read(data); err != nil || l.memory > maxMemory {
		t.Fatalf("decoding alone takes %d bytes, %v", l.memory, err)
	}
	if _, err := Prepare(t.Context(), data, Options{}); code(t, err) != TooManyPixels {
		t.Errorf("got %v", err)
	}
}

// tiffOf makes a TIFF's directory of tags, types, counts and values.
func tiffOf(entries [][4]uint32) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("II*\x00"), 8)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(entries)))
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
		b = binary.LittleEndian.AppendUint32(b, e[3])
	}
	return append(b, 0, 0, 0, 0)
}

// A TIFF may name the same bytes as the pixels of each of its rows, and fill
// them with what takes time and gives nothing.
func TestTIFFReadsNotForEver(t *testing.T) {
	const rows = 5000
	row := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	block := join([]byte{0x78, 0x9c}, bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 100_000), // empty stored blocks
		[]byte{1, 8, 0, 0xf7, 0xff}, row, binary.BigEndian.AppendUint32(nil, adler32.Checksum(row)))
	entries := [][4]uint32{ // tag, type, count, value
		{256, 4, 1, 8}, {257, 4, 1, rows}, {258, 3, 1, 8}, {259, 3, 1, 8}, {262, 3, 1, 1},
		{273, 4, rows, 0}, {278, 4, 1, 1}, {279, 4, rows, 0},
	}
	offsets := uint32(8 + 2 + 12*len(entries) + 4)
	counts := offsets + 4*rows
	data := counts + 4*rows
	entries[5][3], entries[7][3] = offsets, counts
	b := tiffOf(entries)
	for range rows {
		b = binary.LittleEndian.AppendUint32(b, data)
	}
	for range rows {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(block)))
	}
	_, err := Prepare(t.Context(), append(b, block...), Options{})
	if err == nil || !strings.Contains(err.Error(), "again and again") {
		t.Errorf("got %v", err)
	}
}

// A part of a picture takes no more memory than the whole may.
func TestMemoryOfParts(t *testing.T) {
	huge := resized("jpeg", encoded(t, 16, 16)["jpeg"], 65000, 65000)
	entries := [][4]uint32{{256, 4, 1, 16}, {257, 4, 1, 16}, {258, 3, 1, 8}, {259, 3, 1, 7}, {262, 3, 1, 6}, {277, 3, 1, 3}, {273, 4, 1, 0}, {279, 4, 1, uint32(len(huge))}}
	entries[6][3] = uint32(len(tiffOf(entries)))
	webp := file(t, "animated.webp")
	canvas := bytes.Index(webp, []byte("VP8X")) + 12
	copy(webp[canvas:], []byte{7, 0, 0, 7, 0, 0})
	for name, data := range map[string][]byte{
		"tiff with a huge jpeg":     append(tiffOf(entries), huge...),
		"tiff of more than numbers": tiffOf([][4]uint32{{256, 4, 1, 1<<32 - 1}, {257, 4, 1, 1<<32 - 1}}),
		"webp beyond its canvas":    webp,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Prepare(t.Context(), data, Options{MaxPixels: 1<<63 - 1})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; code(t, err) == "" || n > 1<<20 {
			t.Errorf("%s: %d bytes were allocated, %v", name, n, err)
		}
	}
}

// However many workers there are, one large picture is decoded at a time.
func TestOneLargePictureAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := encoded(t, 24, 16)["png"]
		var now, most atomic.Int32
		var workers sync.WaitGroup
		for range 8 {
			workers.Go(func() {
				l, err := read(data)
				if err != nil {
					t.Error(err)
					return
				}
				l.memory = sharedMemory + 1
				err = l.decoded(t.Context(), func(image.Image) error {
					most.Store(max(most.Load(), now.Add(1)))
					time.Sleep(time.Second)
					now.Add(-1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		workers.Wait()
		if n := most.Load(); n != 1 {
			t.Errorf("%d at a time", n)
		}
	})
}

// explosive is a context that panics when it is asked the second time: while decoding.
type explosive struct {
	context.Context
	asked int
}

func (e *explosive) Err() error {
	if e.asked++; e.asked > 1 {
		panic("boom")
	}
	return nil
}

// A panic while decoding refuses the picture and ends nothing else.
func TestPanicIsRefusal(t *testing.T) {
	_, err := Prepare(&explosive{Context: t.Context()}, encoded(t, 64, 64)["png"], Options{MaxEdge: 32})
	if code(t, err) != Truncated || !strings.Contains(err.Error(), "boom") {
		t.Errorf("got %v", err)
	}
}
