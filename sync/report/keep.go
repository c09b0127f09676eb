package report

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// Prune removes the files of all runs in dir but the keep newest ones, and returns
// how many runs that were; keep 0 removes nothing. The files of the run called
// current, latest.* and whatever has not the name of a run's file stay.
func Prune(dir string, keep int, current string) (int, error) {
	if keep == 0 {
		return 0, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("prune reports: %w", err)
	}
	name := regexp.MustCompile(`^([0-9]{8}T[0-9]{6}Z-[a-z2-7]{6})\.(json|html|csv|plan\.json)$`)
	files := map[string][]string{} // by run
	for _, e := range entries {
		if m := name.FindStringSubmatch(e.Name()); m != nil && e.Type().IsRegular() {
			files[m[1]] = append(files[m[1]], e.Name())
		}
	}
	if _, there := files[current]; there {
		keep--
		delete(files, current)
	}
	runs := slices.Sorted(maps.Keys(files)) // in the order of their names, which is that of time
	old := runs[:max(len(runs)-keep, 0)]
	var errs error
	for _, run := range old {
		for _, f := range files[run] {
			// Another run that prunes at the same moment is welcome to it.
			if err := os.Remove(filepath.Join(dir, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = errors.Join(errs, fmt.Errorf("prune reports: %w", err))
			}
		}
	}
	return len(old), errs
}
