// Package console is everything that a person sees of photosync: on a terminal, in
// the log, in a mail from cron, and as lines of JSON.
//
// Its rules:
//
//   - Stdout has what the command is asked for: a summary, an explanation, a checkup.
//     Stderr has the rest: the log, the live line, questions and errors.
//   - The verdict comes first, then what needs somebody, then the numbers, and last
//     the files. Good news never comes before a finding or a ✗.
//   - Equal problems are one group. Lists of people are cut short: the report has all.
//   - An error is "photosync: " and what failed; below it, "hint: " and what to do.
//   - ✓ is fine, ! needs somebody, ✗ failed, – is for information, → says what to do.
//     Colour only repeats that. There is none without a terminal, with NO_COLOR, or
//     with TERM=dumb.
//   - Lines are broken at a terminal's width. Elsewhere they stay whole, for searches.
//   - Text from outside is printed without control characters.
//   - A line in the log is an event. People whom a run did not reach, left for later
//     or held are not events: one line has their number and the first few names.
//   - With JSON, every line is a value with a message_type, and the last one is the
//     summary, or the error if no run began.
//   - Quiet means nothing at all, unless somebody has to act.
package console

import (
	"embed"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/acarl005/stripansi"
	"github.com/mattn/go-colorable"
	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"photosync/state"
	"photosync/sync/foreign"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// Console prints for people, or programs, on one writer.
type Console struct {
	w      io.Writer
	colour bool
	width  int // of the lines; 0: they are not broken
}

// New returns a Console on w; env is the environment.
func New(w io.Writer, env func(string) string) *Console {
	c := &Console{w: w}
	if f, ok := terminal(w); ok {
		c.colour = env("NO_COLOR") == "" && env("TERM") != "dumb"
		if c.colour {
			c.w = colorable.NewColorable(f) // for old Windows consoles
		}
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			c.width = min(max(width, 40), 100) // longer lines are hard to read
		}
	}
	return c
}

// terminal returns the file that w writes to, if it is a terminal.
func terminal(w io.Writer) (*os.File, bool) {
	if u, ok := w.(interface{ Unwrap() io.Writer }); ok {
		w = u.Unwrap()
	}
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// styled is a text in a style: the parameters of an escape sequence (ECMA-48, SGR).
type styled struct{ style, text string }

const bold, dim, red, green, yellow, blue = "1", "2", "31", "32", "33", "34"

func (c *Console) styled(s styled) string {
	if c.colour {
		return "\x1b[" + s.style + "m" + foreign.Text(s.text) + "\x1b[0m"
	}
	return foreign.Text(s.text)
}

// line prints a line. It removes control characters from the texts among args.
func (c *Console) line(format string, args ...any) {
	for i, a := range args {
		switch a := a.(type) {
		case string:
			args[i] = foreign.Text(a)
		case styled:
			args[i] = c.styled(a)
		}
	}
	c.print(fmt.Sprintf(format, args...))
}

// print prints a line. If it is broken, the rest hangs below its text: that follows a label and a gap.
func (c *Console) print(line string) {
	if c.width > 0 {
		indent := spaces(line)
		label, text, labelled := strings.Cut(line[indent:], "  ")
		hang := indent + visible(label) + 2 + spaces(text)
		if !labelled || hang > c.width/2 {
			hang = indent + 2
		}
		line = Wrap(line, c.width, hang)
	}
	io.WriteString(c.w, line+"\n") // main's output remembers an error
}

// spaces counts the spaces that text begins with.
func spaces(text string) int { return len(text) - len(strings.TrimLeft(text, " ")) }

//go:embed layouts
var layouts embed.FS

// show prints values in one of the layouts. It parses only the files that this layout needs, as
// every command that prints one waits for that. It removes control characters from the values in
// place, so nothing else may need them as they were.
func (c *Console) show(layout string, values any, files ...string) {
	foreign.Clean(values)
	t := template.New("").Funcs(report.Funcs).Funcs(template.FuncMap{
		"good":     func() string { return c.styled(good) },
		"note":     func() string { return c.styled(note) },
		"warning":  func() string { return c.styled(warning) },
		"bold":     func(text string) string { return c.styled(styled{bold, text}) },
		"bad":      func(text string) string { return c.styled(styled{red, text}) },
		"mood":     func(mood, text string) string { return c.styled(styled{moods[mood], text}) },
		"join":     func(texts []string) string { return strings.Join(texts, ", ") },
		"when":     func(t time.Time) string { return t.Format(time.RFC3339) },
		"details":  Details,
		"record":   func(p *state.Person, u *state.User) *Record { return &Record{Person: p, User: u} },
		"troubles": troubles,
		"title":    title,
		"planned":  planned,
		"sum":      func(a, b int) int { return a + b },
	})
	var text strings.Builder
	if err := template.Must(t.ParseFS(layouts, files...)).ExecuteTemplate(&text, layout, values); err != nil {
		panic(err) // a mistake in the layout
	}
	for line := range strings.Lines(text.String()) {
		c.print(strings.TrimSuffix(line, "\n"))
	}
}

// Wrap breaks the lines of text between words to at most width, and indents the continuations by hang. Escape
// sequences take no room. A word that is too long stays whole: it may be an address or a command to copy.
func Wrap(text string, width, hang int) string {
	lines := strings.Split(text, "\n")
	for n, line := range lines {
		words := strings.Split(line, " ")
		wrapped, column := words[0], visible(words[0])
		for _, word := range words[1:] {
			gap := " "
			if column+1+visible(word) > width && column > hang {
				gap, column = "\n"+strings.Repeat(" ", hang), hang-1
			}
			wrapped += gap + word
			column += 1 + visible(word)
		}
		lines[n] = wrapped
	}
	return strings.Join(lines, "\n")
}

// visible returns how many columns text takes.
func visible(text string) int { return runewidth.StringWidth(stripansi.Strip(text)) }

func (c *Console) Error(err error) {
	c.line("%s %s", styled{red, "photosync:"}, strings.TrimRight(err.Error(), "\n"))
	if hint := outcome.Hint(err); hint != "" {
		c.line("  %s %s", styled{bold, "hint:"}, hint)
	}
}
