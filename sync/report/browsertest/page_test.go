package browsertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func TestRenders(t *testing.T) {
	for _, c := range []struct {
		people                    int
		verdict                   string
		attention, sent, leftRows int // rows in the document
	}{
		{0, "Nothing to do: everybody's picture is as it should be.", 0, 0, 0},
		{40, "32 pictures were uploaded, and 4 people need attention.", 4, 32, 4},
		{10_000, "8,000 pictures were uploaded, and 1,000 people need attention.", 180, 120, 60},
	} {
		t.Run(fmt.Sprint(c.people), func(t *testing.T) {
			file := render(t, sample(c.people))
			b := newTab(t)
			b.do(chromedp.Navigate("file://" + file))
			if got := eval[string](b, `document.querySelector("h1").textContent`); got != c.verdict {
				t.Errorf("verdict %q, want %q", got, c.verdict)
			}
			for selector, want := range map[string]int{"#attention li": c.attention, "#sent .sheet > li": c.sent, "#left li": c.leftRows} {
				if got := eval[int](b, `document.querySelectorAll("`+selector+`").length`); got != want {
					t.Errorf("%d rows %s, want %d", got, selector, want)
				}
			}
			b.clean(file)
		})
	}
}

// The watch itself sees what it is there to see.
func TestTroublesAreSeen(t *testing.T) {
	b := newTab(t)
	b.do(chromedp.Navigate("data:text/html,<img src='http://127.0.0.1:9/x.png'><script>console.error(1)</script>"), chromedp.WaitReady(chromedp.CSS("img")))
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.requests, "http://127.0.0.1:9/x.png") || !slices.Contains(b.troubles, "console.error") {
		t.Errorf("requests %q, troubles %q", b.requests, b.troubles)
	}
}

func TestNamesAreText(t *testing.T) {
	file := render(t, sample(40))
	b := newTab(t)
	b.do(chromedp.Navigate("file://" + file))
	if got := eval[string](b, `document.querySelector("#sent .who").textContent`); got != hostile {
		t.Errorf("the first person is %q, want %q", got, hostile)
	}
	if n := eval[int](b, `document.querySelectorAll("img:not([src^='data:image/jpeg']), [onerror]").length`); n != 0 {
		t.Errorf("%d elements came from a name", n)
	}
	b.clean(file)
}

func TestFilter(t *testing.T) {
	file := render(t, sample(10_000))
	b := newTab(t)
	b.do(chromedp.Navigate("file://" + file))
	visible := func(selector string) int {
		return eval[int](b, `[...document.querySelectorAll("`+selector+`")].filter((e) => e.checkVisibility()).length`)
	}
	found := func() string { return eval[string](b, `document.getElementById("found").textContent`) }

	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "person09991"))
	if got := found(); got != "1 person matches." || visible("main li") != 1 || visible("main section") != 1 {
		t.Errorf("one person: %q, %d rows in %d sections", got, visible("main li"), visible("main section"))
	}
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "x"))
	if got := found(); got != "Nobody matches." || visible("main section") != 0 {
		t.Errorf("nobody: %q, %d sections", got, visible("main section"))
	}
	eval[string](b, `document.getElementById("q").value = ""`)
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "4001 PERSON DC=example"))
	if got := found(); got != "333 people match." {
		t.Errorf("words of a heading and a row: %q", got)
	}
	b.do(chromedp.KeyEvent("\x1b"))
	if got := found(); got != "" || visible("main section") != 6 {
		t.Errorf("after Escape: %q, %d sections", got, visible("main section"))
	}
	b.do(chromedp.Click(chromedp.CSS(`[data-show="left"]`)))
	if visible("main section") != 1 || visible("#left li") != 60 {
		t.Errorf("left alone: %d sections, %d rows", visible("main section"), visible("#left li"))
	}
	b.do(chromedp.Click(chromedp.CSS("#left .more button")))
	if n := visible("#left li"); n != 120 {
		t.Errorf("%d rows after asking for more, want 120", n)
	}
	b.do(chromedp.Click(chromedp.CSS(`[data-show=""]`)), chromedp.KeyEvent("/"))
	if got := eval[string](b, `document.activeElement.id`); got != "q" {
		t.Errorf("the slash leads to %q", got)
	}
	b.clean(file)
}

func TestCopy(t *testing.T) {
	file := render(t, sample(40))
	b := newTab(t)
	b.do(chromedp.Navigate("file://" + file))
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		may := browser.SetPermissionParams{Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted}
		if _, err := chromedp.CallBrowser(b, browser.SetPermission, may); err != nil {
			t.Fatal(err)
		}
	}
	clipboard := func() string { return eval[string](b, `navigator.clipboard.readText()`) }
	// A button says for 1.5 seconds that it copied, which a busy machine may sleep through.
	eval[int](b, `globalThis.setTimeout = () => 0; 0`)
	b.do(chromedp.Click(chromedp.CSS(`#attention .ref[data-copy="`+refID+`-11"]`)), chromedp.WaitVisible(chromedp.CSS(".copied")))
	if got := clipboard(); got != refID+"-11" {
		t.Errorf("the clipboard has %q, want the refId", got)
	}
	b.do(chromedp.Click(chromedp.CSS(`#attention [data-copy-all]`)), chromedp.WaitVisible(chromedp.CSS("[data-copy-all].copied")))
	if got := clipboard(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "person00001@example.com\t"+refID+"-1\n") {
		t.Errorf("the clipboard has %q, want each address with its refId", got)
	}
	// Where there is no clipboard, the old way does it.
	eval[int](b, `navigator.clipboard.writeText = () => Promise.reject(new Error("no")); 0`)
	b.do(chromedp.Click(chromedp.CSS(`#attention .ref[data-copy="`+refID+`-21"]`)), chromedp.WaitVisible(chromedp.CSS(`.ref.copied[data-copy="`+refID+`-21"]`)))
	if got := clipboard(); got != refID+"-21" {
		t.Errorf("the clipboard has %q, want the third refId", got)
	}
	b.clean(file)
}

// Without JavaScript the essentials are there, and what needs it is not.
func TestWithoutJavaScript(t *testing.T) {
	file := render(t, sample(10_000))
	b := newTab(t)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.do(chromedp.Navigate("file://" + file))
	text := func(selector string) string {
		s, err := chromedp.Run(b, chromedp.Text(chromedp.CSS(selector)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	h1, more := text("h1"), text("#sent .more")
	if !strings.Contains(h1, "1,000 people need attention") || !strings.Contains(more, "7,880 more") {
		t.Errorf("verdict %q, more %q", h1, more)
	}
	b.do(chromedp.WaitVisible(chromedp.CSS("#attention li")), chromedp.WaitNotVisible(chromedp.CSS(".tools")), chromedp.WaitVisible(chromedp.CSS("#sources")), chromedp.WaitVisible(chromedp.CSS("#timeline")))
	b.clean(file)
}
