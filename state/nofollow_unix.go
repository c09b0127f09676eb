//go:build unix

package state

import "syscall"

// noFollow makes opening a link an error: whoever may write to the folder of the
// state could have put one there. Opening a FIFO does not wait.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
