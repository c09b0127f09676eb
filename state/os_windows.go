package state

import "go.etcd.io/bbolt"

func releasePages(*bbolt.Tx) {} // the system takes them back when it wants them
