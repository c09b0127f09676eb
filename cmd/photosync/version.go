package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// A release sets these at build time: -ldflags "-X main.version=1.2.3". What is not
// set comes from what Go recorded about the build.
var version, commit, date string

// about is what is known of a build: its version, or "dev"; the commit of its source,
// with "+dirty" if the source was edited; and the date of the commit, in RFC 3339.
type about struct{ version, commit, date string }

// build is about this program.
func build() about {
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		bi = &debug.BuildInfo{}
	}
	return aboutBuild(about{version, commit, date}, bi)
}

// aboutBuild completes what was set at build time from Go's own record.
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

// versionText is the version alone, as reports, metrics and the User-Agent name it.
func versionText() string { return build().version }

// String is what a person reads: all that is known.
func (b about) String() string {
	text := "photosync " + b.version + " ("
	if b.commit != "" {
		text += strings.TrimSuffix("commit "+b.commit+", "+b.date, ", ") + ", "
	}
	return text + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{Use: "version", RunE: func(*cobra.Command, []string) error {
		fmt.Fprintln(a.stdout, build())
		return nil
	}}
}
