// Command licenses reads lines of a module and its folder, and fails if the licence of
// one is none of those that may be part of a program under Apache-2.0, or cannot be told.
package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-enry/go-license-detector/v4/licensedb"
	"github.com/go-enry/go-license-detector/v4/licensedb/filer"
)

var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "MPL-2.0-no-copyleft-exception", "Unlicense", "Zlib", "CC0-1.0"}

func main() {
	failed := false
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		module, dir, _ := strings.Cut(lines.Text(), " ")
		found := licences(dir)
		fmt.Printf("%-50s %s\n", module, strings.Join(found, ", "))
		if len(found) == 0 || slices.ContainsFunc(found, func(l string) bool { return !slices.Contains(allowed, l) }) {
			fmt.Printf("%s: this licence is not allowed, or not known\n", module)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// licences are those that the files in a module's folder say it is under, without doubt.
func licences(dir string) (found []string) {
	files, err := filer.FromDirectory(dir)
	if err != nil {
		return nil
	}
	matches, err := licensedb.Detect(files)
	if err != nil {
		return nil
	}
	best := float32(0.75)
	for id, m := range matches {
		switch {
		case m.Confidence > best:
			best, found = m.Confidence, []string{id}
		case m.Confidence == best:
			found = append(found, id)
		}
	}
	slices.Sort(found)
	return found
}
