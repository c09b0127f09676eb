// Command photosync copies employee photos from LDAP, Active Directory or a folder
// to Smartsheet profiles.
package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"
)

// memoryTarget is what the garbage collector aims to stay under. Reading LDAP
// makes some fifteen bytes of garbage for each byte of a photo; what a run needs
// at once is far less. It is a soft limit: a run that needs more gets it.
const memoryTarget = 64 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryTarget)
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the program without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	app := &app{env: env, stdout: stdout, stderr: stderr}
	root := app.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	return app.exit(err)
}
