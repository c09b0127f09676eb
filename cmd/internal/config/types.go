package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Secret is a text that shows itself nowhere: every way of printing it gives
// "[redacted]".
type Secret string

const redacted = "[redacted]"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Format, which all verbs of fmt use, String and MarshalText redact.
func (s Secret) Format(f fmt.State, _ rune)   { fmt.Fprint(f, redacted) }
func (s Secret) String() string               { return redacted }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Duration is written like 30s, 5m, 1h30m or 1d, also with spaces and whole words.
type Duration time.Duration

// timeUnits are the words for units that time.ParseDuration does not know, longer
// ones before those that they begin with.
var timeUnits = []string{"seconds", "s", "second", "s", "sec", "s", "minutes", "m", "minute", "m", "min", "m", "hours", "h", "hour", "h", "days", "d", "day", "d"}

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(b []byte) error {
	text := strings.NewReplacer(append([]string{" ", ""}, timeUnits...)...).Replace(string(b))
	var days time.Duration
	head, rest, found := strings.Cut(text, "d")
	if found { // a day is 24 hours
		n, err := strconv.ParseFloat(head, 64)
		if text = cmp.Or(rest, "0"); err != nil || !(n >= 0 && n < 1e5) {
			text = ""
		}
		days = time.Duration(n * 24 * float64(time.Hour))
	}
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 || v+days < 0 {
		return errors.New("is not a duration: write it like 30s, 5m, 1h30m or 1d")
	}
	*d = Duration(v + days)
	return nil
}

// Size is a number of bytes, written like 800kB, 1MB (1,000,000) or 1MiB
// (1,048,576).
type Size int64

var sizeUnits = []unit{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"KB", 1e3}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}, {"", 1}}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(b []byte) error {
	n, err := quantity(string(b), sizeUnits, "is not a size: write it like 800kB, 1MB or 1MiB")
	*s = Size(n)
	return err
}

// Limit is a number of people, like 100, or a percentage, like 20%.
type Limit struct {
	N       float64 `yaml:"-"`
	Percent bool    `yaml:"-"`
}

// UnmarshalText reads a limit.
func (l *Limit) UnmarshalText(b []byte) error {
	head, percent := strings.CutSuffix(strings.TrimSpace(string(b)), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(head), 64)
	if err != nil || !(v >= 0) || percent && v > 100 || !percent && v != math.Trunc(v) {
		return errors.New("is not a limit: write a number of people like 100, or a percentage like 20%")
	}
	l.N, l.Percent = v, percent
	return nil
}

// Pixels is a number of pixels, written like 50MP.
type Pixels int64

var pixelUnits = []unit{{"MP", 1e6}, {"kP", 1e3}, {"", 1}}

// UnmarshalText reads a number of pixels.
func (p *Pixels) UnmarshalText(b []byte) error {
	n, err := quantity(string(b), pixelUnits, "is not a number of pixels: write it like 50MP")
	*p = Pixels(n)
	return err
}

type unit struct {
	suffix string
	factor float64
}

func quantity(s string, units []unit, fault string) (int64, error) {
	for _, u := range units {
		if head, found := strings.CutSuffix(s, u.suffix); found {
			v, err := strconv.ParseFloat(strings.TrimSpace(head), 64)
			if err == nil && v >= 0 && v*u.factor < math.MaxInt64/2 { // so that NaN fails, too
				return int64(v * u.factor), nil
			}
			break
		}
	}
	return 0, errors.New(fault)
}
