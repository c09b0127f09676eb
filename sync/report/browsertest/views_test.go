package browsertest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Each view is kept as an artefact of the test: go test -artifacts -outputdir DIR.
func TestViews(t *testing.T) {
	pages := scenes(t)
	pages["failures"] = render(t, sample(40))
	dir := t.ArtifactDir()
	keep := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type view struct {
		name, file, scheme, media string
		width                     int64
	}
	var views []view
	for name, file := range pages {
		views = append(views, view{name + "-light", file, "light", "", 1200}, view{name + "-dark", file, "dark", "", 1200},
			view{name + "-phone", file, "light", "", 390}, view{name + "-phone-dark", file, "dark", "", 390},
			view{name + "-print", file, "light", "print", 794}) // A4 at 96 pixels an inch
	}
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			b := newTab(t)
			b.do(chromedp.EmulateViewport(v.width, 900))
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Media: v.media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}},
			})
			b.do(chromedp.Navigate("file://" + v.file))
			if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > int(v.width) {
				t.Errorf("the page is %d pixels wide in a window of %d", wide, v.width)
			}
			ground := eval[string](b, `getComputedStyle(document.body).backgroundColor`)
			if (ground == "rgb(18, 20, 23)") != (v.scheme == "dark") {
				t.Errorf("the ground is %s in the %s scheme", ground, v.scheme)
			}
			tools := eval[bool](b, `document.querySelector(".tools").checkVisibility()`)
			if people := eval[int](b, `document.querySelectorAll(".who").length`); tools != (v.media != "print" && people > 0) {
				t.Errorf("the search is visible: %v, with %d people", tools, people)
			}
			png, err := chromedp.Run(b, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			keep(v.name+".png", png)
			b.clean(v.file)
		})
	}
	b := newTab(t)
	b.do(chromedp.Navigate("file://" + pages["failures"]))
	pdf, err := chromedp.Run(b, chromedp.PrintToPDF(chromedp.PDFPrintBackground()))
	if err != nil || !bytes.HasPrefix(pdf, []byte("%PDF")) {
		t.Fatalf("printing gives %.20q, %v", pdf, err)
	}
	keep("print.pdf", pdf)
}

// Searching among 10,000 people takes a frame or two of a display; hiding rows that
// all stay in the document, for comparison, takes far longer.
func BenchmarkSearch(b *testing.B) {
	file := render(b, sample(10_000))
	p := newTab(b)
	p.do(chromedp.Navigate("file://" + file))
	// The first search makes the keys of all rows; each comes with the layout.
	const search = `(() => {
		const q = document.getElementById("q"), began = performance.now();
		q.value = %q;
		q.dispatchEvent(new Event("input"));
		document.body.getBoundingClientRect();
		return performance.now() - began;
	})()`
	query := func(text string) float64 { return eval[float64](p, fmt.Sprintf(search, text)) }
	first := query("person0999")
	var sum float64
	for b.Loop() {
		sum += query("person0888") + query("4001 example") + query("")
	}
	each := sum / float64(b.N) / 3
	naive := eval[float64](p, `(() => {
		const list = document.body.appendChild(document.createElement("ul"));
		list.append(...Array.from({ length: 10000 }, (_, i) => { const li = document.createElement("li"); li.textContent = "person" + i + "@example.com"; return li; }));
		document.body.getBoundingClientRect();
		const began = performance.now();
		for (const li of list.children) li.hidden = !li.textContent.toLowerCase().includes("888");
		document.body.getBoundingClientRect();
		for (const li of list.children) li.hidden = false;
		document.body.getBoundingClientRect();
		return (performance.now() - began) / 2;
	})()`)
	b.ReportMetric(first, "ms/first-search")
	b.ReportMetric(each, "ms/search")
	b.ReportMetric(each/naive, "of-hiding-rows")
}
