//go:build !unix

package safefile

import (
	"os"
	"path/filepath"
)

// NoFollow is nothing: on Windows the rights of the folder say who may lay links.
const NoFollow = 0

// Own does nothing: the folder says who may read its files.
func Own(*os.File, string) error { return nil }

// Real is the file that path leads to.
func Real(path string) (string, error) { return filepath.EvalSymlinks(path) }
