package report

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"photosync/sync/outcome"
)

// Funcs write values for people, in the page and on a terminal.
var Funcs = map[string]any{
	"num":      func(n any) string { return Number(reflect.ValueOf(n).Int()) },
	"count":    func(n any, one, many string) string { return Count(int(reflect.ValueOf(n).Int()), one, many) },
	"people":   People,
	"names":    Names,
	"examples": examples,
	"bytes":    func(n any) string { return Size(reflect.ValueOf(n).Int()) },
	"took":     func(r *Report) string { return Duration(r.FinishedAt.Sub(r.StartedAt)) },
	"ms":       func(n int64) string { return Duration(time.Duration(n) * time.Millisecond) },
	"seconds":  func(n any) string { return Duration(time.Duration(reflect.ValueOf(n).Int()) * time.Second) },
}

// Names lists the first few of some names.
func Names(all []string) string {
	const few = 3
	if len(all) <= few {
		return strings.Join(all, ", ")
	}
	return strings.Join(all[:few], ", ") + " and " + Number(len(all)-few) + " more"
}

// examples lists the first examples of a finding, unless its sentence names them.
func examples(f outcome.Finding) string {
	if len(f.Examples) == 0 || strings.Contains(f.Message, f.Examples[0]) {
		return ""
	}
	return Names(f.Examples)
}

func People(n int) string { return Count(n, "person", "people") }

// Count returns a number with its noun.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// Number writes a number with its digits in groups of three.
func Number[N int | int64](n N) string { return outcome.Number(int(n)) }

// Size returns a number of bytes in a suitable unit.
func Size[N int | int64](n N) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}

// Duration returns a time as people say it: in whole seconds, or below one second in ms.
func Duration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", max(d, 0).Milliseconds())
	}
	var parts []string
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
		}
		d %= u.size
	}
	return strings.Join(parts, " ")
}
