package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// A release sets these at build time: -ldflags "-X main.version=1.2.3". What is not
// set comes from what Go recorded about the build.
var version, commit, date string

// about is what is known of a build.
type about struct {
	version string // "dev" when nobody knows
	commit  string // of the source; "+dirty" at its end says that the source was edited
	date    string // of the commit, RFC 3339
}

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
	if set.version == "" {
		set.version = "dev"
		if v := bi.Main.Version; v != "" && v != "(devel)" {
			set.version = strings.TrimPrefix(v, "v")
		}
	}
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
	known := []string{}
	if b.commit != "" {
		known = append(known, "commit "+b.commit)
	}
	if b.date != "" {
		known = append(known, b.date)
	}
	known = append(known, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	return fmt.Sprintf("photosync %s (%s)", b.version, strings.Join(known, ", "))
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(a.stdout, build())
			return nil
		},
	}
}
