// Package browsertest opens the HTML report in a real headless Chromium, made by the
// real program as an administrator would make it.
package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// photosync is the program, built once.
var photosync string

// chromium is the browser, started once; each test has its own tab in it.
var chromium context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "photosync-browsertest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	photosync = filepath.Join(dir, "photosync")
	build := exec.Command("go", "build", "-o", photosync, "./cmd/photosync")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build photosync: %v\n%s", err, out)
		return 1
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(2*time.Minute), // it starts beside all other tests
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("force-color-profile", "srgb"),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	var quit context.CancelFunc
	chromium, quit = chromedp.NewContext(allocator)
	defer quit()
	if err := chromedp.Do(chromium); err != nil {
		fmt.Fprintf(os.Stderr, "start Chromium (.ci/test installs it): %v\n", err)
		return 1
	}
	return m.Run()
}

// tab is a tab with a report in it, and what came up there.
type tab struct {
	context.Context
	t testing.TB

	mu       sync.Mutex
	troubles []string // what the console says, exceptions, dialogs
	requests []string // addresses
}

// newTab opens an empty tab that watches what its page does.
func newTab(t testing.TB) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(chromium)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // a browser that hangs ends the test
	t.Cleanup(cancel)
	b := &tab{Context: ctx, t: t}
	if err := chromedp.Listen(ctx, b.see); err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	return b
}

func (b *tab) see(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	trouble := func(format string, args ...any) { b.troubles = append(b.troubles, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		trouble("console.%s", e.Type)
	case *runtime.EventExceptionThrown:
		trouble("exception: %s", e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		trouble("log: %s: %s", e.Entry.Level, e.Entry.Text)
	case *page.EventJavascriptDialogOpening:
		trouble("dialog: %s", e.Message)
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

// do does things in the tab.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// call sends the tab a command of the protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b, command, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// eval is what a JavaScript expression, or the promise that it makes, comes to.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// clean fails the test if the page had any trouble, or asked for anything but
// itself.
func (b *tab) clean(file string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.troubles {
		b.t.Errorf("the page had trouble: %s", s)
	}
	for _, address := range b.requests {
		if address != "file://"+file && !strings.HasPrefix(address, "data:") {
			b.t.Errorf("the page asked for %s", address)
		}
	}
}

// render makes the page of a report with photosync and returns its path.
func render(t testing.TB, report map[string]any) string {
	t.Helper()
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "report.json"), filepath.Join(dir, "report.html")
	if err := os.WriteFile(from, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(photosync, "report", from, "--html", "-o", to).CombinedOutput(); err != nil {
		t.Fatalf("photosync report: %v\n%s", err, out)
	}
	return to
}
