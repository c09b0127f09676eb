//go:build !linux

package state

import "go.etcd.io/bbolt"

// releasePages does nothing: elsewhere the system takes back the pages of a mapped
// file when it wants them.
func releasePages(*bbolt.Tx) {}
