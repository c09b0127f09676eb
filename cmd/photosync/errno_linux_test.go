package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// failing, in the environment of a process of these tests, is CALL=ERRNO,FILE: the
// system call fails with that errno from the moment on when there is such a file.
// A disk that fails looks like that, and needs nothing but a kernel with seccomp.
const failing = "PHOTOSYNC_TEST_FAILING"

var (
	failingCalls  = map[string]uint32{"pwrite64": unix.SYS_PWRITE64, "fdatasync": unix.SYS_FDATASYNC, "fsync": unix.SYS_FSYNC}
	failingErrnos = map[string]syscall.Errno{"EIO": unix.EIO, "EROFS": unix.EROFS, "ENOSPC": unix.ENOSPC}
)

func init() {
	spec := os.Getenv(failing)
	if spec == "" || os.Getenv(asMain) == "" {
		return
	}
	what, file, _ := strings.Cut(spec, ",")
	call, errno, _ := strings.Cut(what, "=")
	go func() {
		for {
			if _, err := os.Stat(file); err == nil {
				break
			}
			time.Sleep(time.Millisecond) // another process makes the file
		}
		if err := failCalls(failingCalls[call], failingErrnos[errno]); err != nil {
			fmt.Fprintln(os.Stderr, "seccomp:", err)
			os.Exit(99)
		}
		os.Remove(file) // from now on
	}()
}

// failCalls makes a system call fail in all threads of this process (seccomp(2)).
func failCalls(call uint32, errno syscall.Errno) error {
	const numberOfCall = 0 // its offset in struct seccomp_data
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: numberOfCall},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		return e
	}
	return nil
}
