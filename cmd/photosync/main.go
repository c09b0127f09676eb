// Command photosync copies employee photos from LDAP, Active Directory or a folder to Smartsheet profiles.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"syscall"

	"al.essio.dev/pkg/shellescape"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"photosync/cmd/internal/console"
	"photosync/sync/job"
	"photosync/sync/outcome"
)

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		frugal()
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// frugal limits the memory to what was in use after the last garbage collection, plus 16 MB or a
// quarter. Up to 190 MB Go's own rule holds, which lets the memory double. frugal sets a new limit
// after each collection: with a fixed limit close to the need, the collector would run all the time.
func frugal() {
	debug.SetGCPercent(-1)
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(samples)
	bytes := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	need := bytes(0)
	beside := bytes(1) - bytes(2) - bytes(3) - bytes(4) // stacks, the runtime's own tables and gaps count for the limit, too
	debug.SetMemoryLimit(need + beside + max(16<<20, need/4, min(need, 190<<20-need)))
	runtime.AddCleanup(new([64]byte), func(struct{}) { frugal() }, struct{}{})
}

// run is main with its environment as parameters. It returns the exit code.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	out := &output{w: stdout}
	a := &app{env: env, stdout: out, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.begun {
		err = usage(outcome.WithHint(flagError(err), usageHint(cmd)))
	}
	if err == nil && out.err != nil {
		err = fmt.Errorf("write to stdout: %w", out.err)
	}
	if err == nil {
		return a.code
	}
	err = a.completeHint(err)
	console.New(a.stderr, a.env).Error(err)
	code := exitCode(nil, err)
	if a.output == "json" {
		console.NewLines(a.stdout).Error(err, code) // stderr has it in any case
	}
	return code
}

// completeHint returns err with a hint whose commands can be pasted.
func (a *app) completeHint(err error) error {
	if hint := outcome.Hint(err); hint != "" {
		return outcome.WithHint(err, a.completed(hint))
	}
	return err
}

var printed = regexp.MustCompile(`photosync (state )?[a-z]+`)

// completed completes the commands in a text for people: each gets those flags of a.same that it has.
func (a *app) completed(text string) string {
	return printed.ReplaceAllStringFunc(text, func(command string) string {
		cmd, _, err := a.commands.Find(strings.Fields(command)[1:])
		for _, name := range []string{"config", "shard", "state"} {
			if value := a.same[name]; err == nil && value != "" && cmd.Flag(name) != nil {
				command += " --" + name + " " + shellescape.Quote(value)
			}
		}
		return command
	})
}

// flagError puts the library's errors about flags that exclude each other, and about arguments, into plain words.
func flagError(err error) error {
	exclusive := regexp.MustCompile(`^if any flags in the group .* none of the others can be; \[(.*)\] were all set$`)
	if m := exclusive.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("--%s do not go together", strings.ReplaceAll(m[1], " ", " and --"))
	}
	if m := regexp.MustCompile(`arg\(s\).*received (\d+)$`).FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("wrong number of arguments: %s", m[1])
	}
	return err
}

// output remembers the first error of writing to w: text that was lost on a full disk must not count as printed.
type output struct {
	w   io.Writer
	err error
}

// Unwrap returns the writer below: it may be a terminal.
func (o *output) Unwrap() io.Writer { return o.w }

func (o *output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	o.err = cmp.Or(o.err, err)
	return n, err
}

// app is what the commands share.
type app struct {
	env            func(string) string
	stdout, stderr io.Writer
	begun          bool   // a command has begun: an error before that is a mistake in the command line
	code           int    // of a command that ended without an error
	output         string // the flag: json, also for errors, or text (default)
	commands       *cobra.Command
	same           map[string]string // the flags of the command that name the configuration and the state, by name; empty: not given
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "photosync",
		Short:         "Copy employee photos from LDAP, Active Directory or a folder to Smartsheet profiles",
		SilenceErrors: true, SilenceUsage: true, Version: build().String(),
	}
	a.commands = root
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(
		a.jobCommand("sync", job.Sync), a.jobCommand("plan", job.Plan), a.jobCommand("apply PLAN", job.Apply),
		a.explain(), a.check(), a.report(), a.state(), a.init(), a.config(), a.oauth(),
		&cobra.Command{Use: "demo", RunE: a.demo}, a.simulate(),
		&cobra.Command{Use: "version", RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(a.stdout, build())
			return nil
		}},
	)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		addEndings(cmd) // not before: it would take time in every start
		var text strings.Builder
		cmd.SetOut(&text)
		help(cmd, args)
		cmd.SetOut(a.stdout)
		io.WriteString(a.stdout, strings.ReplaceAll(text.String(), "[=true|false]", "             ")) // pflag writes it after every switch
	})
	root.InitDefaultCompletionCmd() // after SetOut: it remembers stdout
	a.complete(root)
	return root
}

func addConfig(fs *pflag.FlagSet, file *string) {
	fs.StringVar(file, "config", "", "configuration `FILE` (default: $PHOTOSYNC_CONFIG, ./config.yaml, /etc/photosync/config.yaml)")
	_ = fs.SetAnnotation("config", cobra.BashCompFilenameExt, []string{"yaml", "yml"}) // fails only for a missing flag
}

// oneOf adds a flag with a fixed set of values. Without the flag, *p stays as it is.
func oneOf(cmd *cobra.Command, p *string, name, text string, values ...string) {
	cmd.Flags().Func(name, text, func(s string) error {
		if last := len(values) - 1; !slices.Contains(values, s) {
			return fmt.Errorf("want %s or %s", strings.Join(values[:last], ", "), values[last])
		}
		*p = s
		return nil
	})
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // fails only for a missing flag
}

// addOutput adds --output to a command that prints for people or for programs.
func (a *app) addOutput(cmd *cobra.Command) {
	oneOf(cmd, &a.output, "output", "`FORMAT`: text (default) or json", "text", "json")
}

func (a *app) out() *console.Console { return console.New(a.stdout, a.env) }

// stoppable returns a context that ends with SIGINT or SIGTERM.
func stoppable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once, as a file server may hang
	return ctx, stop
}

// A release sets these at build time: -ldflags "-X main.version=1.2.3". What is not
// set comes from what Go recorded about the build.
var version, commit, date string

// about describes a build: its version, or "dev"; the commit of its source, with "+dirty" if the
// source was edited; and the date of the commit, in RFC 3339.
type about struct{ version, commit, date string }

func build() about {
	bi, _ := debug.ReadBuildInfo() // nil if Go recorded nothing
	return aboutBuild(about{version, commit, date}, cmp.Or(bi, &debug.BuildInfo{}))
}

// aboutBuild completes the values set at build time from Go's own record.
func aboutBuild(set about, bi *debug.BuildInfo) about {
	module := strings.TrimPrefix(strings.TrimSuffix(bi.Main.Version, "(devel)"), "v")
	set.version = cmp.Or(set.version, module, "dev")
	if set.commit != "" {
		return set
	}
	recorded := map[string]string{}
	for _, s := range bi.Settings {
		recorded[s.Key] = s.Value
	}
	set.commit, set.date = recorded["vcs.revision"], recorded["vcs.time"]
	if recorded["vcs.modified"] == "true" {
		set.commit += "+dirty"
	}
	return set
}

func (b about) String() string {
	text := "photosync " + b.version + " ("
	if b.commit != "" {
		text += strings.TrimSuffix("commit "+b.commit+", "+b.date, ", ") + ", "
	}
	return text + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
