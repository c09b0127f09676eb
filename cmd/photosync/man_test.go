package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The man pages are of every command, and man finds nothing wrong with them. A release
// takes them from the folder MAN_PAGES (see .ci/release-files); their date is that of
// SOURCE_DATE_EPOCH. They are made here, as cobra's writer takes texts for Markdown,
// which ours are not, and costs every start of photosync its initialisation.
func TestMan(t *testing.T) {
	dir, date := cmp.Or(os.Getenv("MAN_PAGES"), t.TempDir()), time.Now()
	if epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		date = time.Unix(epoch, 0)
	}
	if err := writePages((&app{env: os.Getenv}).root(), dir, date.UTC()); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands(t) {
		page := filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
		if found := slices.Contains(pages, page); !found {
			t.Errorf("%s: page %v", c.CommandPath(), found)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "photosync-sync.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		".SH EXIT STATUS", `\fB\-\-max\-duration\fR \fIDURATION\fR`, "a guard held the run back", ".SH EXAMPLES\n.PP\n.nf\n  photosync sync", "as <run\\-id>.json",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("photosync-sync.1 has no %q", want)
		}
	}
	for _, page := range pages {
		cmd := exec.Command("groff", "-Kutf8", "-man", "-ww", "-z", "-Tutf8", page)
		if msg, err := cmd.CombinedOutput(); err != nil || len(msg) > 0 {
			t.Errorf("%s: %v %s", filepath.Base(page), err, msg)
		}
	}
}

// writePages writes the page of cmd, and of every command below it.
func writePages(cmd *cobra.Command, folder string, date time.Time) error {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			if err := writePages(c, folder, date); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(folder, pageName(cmd)+".1"), manPage(cmd, date), 0o644)
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage is the page of cmd in the language of man(7).
func manPage(cmd *cobra.Command, date time.Time) []byte {
	addEndings(cmd)
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %q 1 %q %q photosync\n", strings.ToUpper(pageName(cmd)), date.Format(time.DateOnly), "photosync "+build().version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", pageName(cmd), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	text, codes, _ := strings.Cut(cmp.Or(cmd.Long, cmd.Short+"."), "Exit codes:\n")
	b.WriteString(".SH DESCRIPTION\n")
	writeText(&b, text)
	writeFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	if cmd.HasParent() {
		writeFlags(&b, "OPTIONS OF "+strings.ToUpper(cmd.Parent().Name()), cmd.InheritedFlags())
	}
	if codes != "" {
		b.WriteString(".SH EXIT STATUS\n")
		writeText(&b, codes)
	}
	if cmd.Example != "" {
		b.WriteString(".SH EXAMPLES\n")
		writeText(&b, cmd.Example)
	}
	if cmd.HasAvailableSubCommands() || cmd.HasParent() {
		fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", strings.Join(related(cmd), ",\n"))
	}
	return b.Bytes()
}

// writeText writes paragraphs; lines that are set out stay as they are.
func writeText(b *bytes.Buffer, text string) {
	inside := false
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if setOut := strings.HasPrefix(line, "  "); setOut != inside {
			b.WriteString(map[bool]string{true: ".PP\n.nf\n", false: ".fi\n"}[setOut])
			inside = setOut
		}
		if line == "" {
			line = ".PP"
		} else {
			line = roff(line)
		}
		b.WriteString(line + "\n")
	}
	if inside {
		b.WriteString(".fi\n")
	}
}

func writeFlags(b *bytes.Buffer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := `\fB` + roff("--"+f.Name) + `\fR`
		if f.Shorthand != "" {
			name = `\fB` + roff("-"+f.Shorthand) + `\fR, ` + name
		}
		if value != "" {
			name += ` \fI` + roff(value) + `\fR`
		}
		fmt.Fprintf(b, ".TP\n%s\n%s\n", name, roff(usage))
	})
}

// related are the pages of the commands above and below cmd.
func related(cmd *cobra.Command) (pages []string) {
	if cmd.HasParent() {
		pages = append(pages, `\fB`+roff(pageName(cmd.Parent()))+`\fR(1)`)
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			pages = append(pages, `\fB`+roff(pageName(c))+`\fR(1)`)
		}
	}
	return pages
}

// roff writes a line so that it means itself.
func roff(line string) string {
	line = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = `\&` + line
	}
	return line
}
