// Command photosync copies employee photos from LDAP, Active Directory or a folder
// to Smartsheet profiles.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

func main() {
	frugal()
	os.Exit(run(context.Background(), os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the program without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	out := &output{w: stdout}
	app := &app{env: env, stdout: out, stderr: stderr}
	root := app.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("write to stdout: %w", out.err)
	}
	return app.exit(err)
}

// output remembers the first error of writing to w, so that what was lost on a full
// disk does not pass for printed.
type output struct {
	w   io.Writer
	err error
}

// Unwrap returns the writer below: it may be a terminal.
func (o *output) Unwrap() io.Writer { return o.w }

func (o *output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}
