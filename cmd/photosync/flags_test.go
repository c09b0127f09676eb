package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"pgregory.net/rapid"

	"photosync/sync/job"
	"photosync/sync/plan"
)

// parsed are the flags of sync as a command line sets them.
func parsed(t interface{ Fatal(...any) }, args []string) *runFlags {
	f, cmd := &runFlags{}, &cobra.Command{}
	f.add(cmd, job.Sync)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return f
}

// The command that approves a plan, copied into a shell, selects what the run did that
// made the plan: whatever the flags hold.
func TestApprovalRoundTrip(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[a-z*'"$ \\;&|#~{}!]{1,12}`), rapid.Just("ann@example.com"))
	noEnv := func(string) string { return "" }
	rapid.Check(t, func(t *rapid.T) {
		want := plan.Selection{
			Only: rapid.SliceOfN(text, 0, 3).Draw(t, "only"), Source: rapid.OneOf(rapid.Just(""), text).Draw(t, "source"),
			Limit: rapid.IntRange(0, 3).Draw(t, "limit"), Force: rapid.Bool().Draw(t, "force"), Checksum: rapid.Bool().Draw(t, "checksum"),
			RetryFailed: rapid.Bool().Draw(t, "retry failed"), Shard: rapid.SampledFrom([]string{"", "1/4"}).Draw(t, "shard"),
		}
		verify, file := rapid.Bool().Draw(t, "verify"), text.Draw(t, "file")
		var args []string
		for _, o := range want.Only {
			args = append(args, "--only", o)
		}
		for flag, value := range map[string]string{"--source": want.Source, "--shard": want.Shard} {
			if value != "" {
				args = append(args, flag, value)
			}
		}
		for flag, set := range map[string]bool{"--force": want.Force, "--checksum": want.Checksum, "--retry-failed": want.RetryFailed, "--verify": verify, "--limit=" + string(rune('0'+want.Limit)): want.Limit > 0} {
			if set {
				args = append(args, flag)
			}
		}
		command := parsed(t, args).approval(file, "0123456789ab", noEnv)
		out, err := exec.Command("sh", "-c", `photosync() { for a; do printf '%s\n' "$a"; done; }; `+command).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v %s", command, err, out)
		}
		copied := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if copied[0] != "sync" {
			t.Fatalf("%s: %q", command, copied)
		}
		got := parsed(t, copied[1:])
		if diff := cmp.Diff(want, got.Selection, cmp.Transformer("empty", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
			t.Fatalf("%s\n%s", command, diff)
		}
		if got.Verify != verify || got.config != file || got.Approve != "0123456789ab" {
			t.Fatalf("%s: verify %v, file %q, approve %q", command, got.Verify, got.config, got.Approve)
		}
	})
}
