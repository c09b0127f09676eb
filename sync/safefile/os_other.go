//go:build !unix

package safefile

import (
	"os"
	"path/filepath"
)

// NoFollow does nothing: on Windows the rights of the folder decide who may create links.
const NoFollow = 0

// Own does nothing: the folder decides who may read its files.
func Own(*os.File, string) error { return nil }

// Real resolves the links in path.
func Real(path string) (string, error) { return filepath.EvalSymlinks(path) }
