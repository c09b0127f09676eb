package browsertest

import (
	"os"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// violation is what axe-core finds wrong (axe-core's API, "results object").
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// scheme switches the page to light or dark.
func (b *tab) scheme(name string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

func TestAccessible(t *testing.T) {
	axe, err := os.ReadFile(os.Getenv("AXE"))
	if err != nil {
		t.Fatalf("AXE must name axe.min.js of the npm package axe-core, as .ci/test has it: %v", err)
	}
	held := sample(40)
	held["result"], held["mode"] = "held", "plan"
	held["error"] = map[string]any{"message": "held back, nothing was written", "hint": "look at the report", "ref_id": "k3x9"}
	held["guards"] = []map[string]any{{"guard": "max_replaced", "message": "40 of 40 people known would get another picture; at most 20 % may"}}
	held["approve"] = "photosync sync --config config.yaml --approve 3f1c9a0b77de"
	for name, report := range map[string]map[string]any{"sync": sample(40), "held plan": held, "empty": sample(0)} {
		file := render(t, report)
		for _, scheme := range []string{"light", "dark"} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				b := newTab(t)
				b.scheme(scheme)
				b.do(chromedp.Navigate("file://" + file))
				eval[int](b, string(axe)+`; for (const d of document.querySelectorAll("details")) d.open = true; 0`)
				if n := eval[int](b, `axe.run().then((r) => { globalThis.found = r; return r.passes.length; })`); n < 10 {
					t.Errorf("axe looked at %d rules only", n)
				}
				for _, v := range eval[[]violation](b, `found.violations`) {
					if v.Impact != "serious" && v.Impact != "critical" {
						continue
					}
					t.Errorf("%s: %s: %s", v.Impact, v.ID, v.Help)
					for _, n := range v.Nodes {
						t.Logf("%s\n%s", n.HTML, n.FailureSummary)
					}
				}
				b.clean(file)
			})
		}
	}
}
