package report

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"sync"

	"photosync/sync/outcome"
)

// The page is one file: the style and the script stand in it, and the policy in its
// head lets nothing else run and nothing be loaded. Rows of people are made here, so
// that html/template escapes them, and never by the script. Those that are not shown
// at first lie in <template> elements, which cost the browser next to nothing.

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
)

const (
	shownPeople   = 60     // of a group, at first
	shownPictures = 120    // of the contact sheet, at first
	maxPeople     = 20_000 // on a page: more is for machines, and in the JSON
)

// parts are what all pages have in common.
type parts struct {
	templates     *template.Template
	Style, Script template.HTML
	Policy        string // Content-Security-Policy
}

// loadParts is called for the first page: commands that write none have no cost.
var loadParts = sync.OnceValue(func() *parts {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return &parts{
		template.Must(template.New("").Funcs(pageFuncs).Parse(pageHTML)),
		template.HTML("<style>" + pageCSS + "</style>"), template.HTML("<script>" + pageJS + "</script>"),
		"default-src 'none'; img-src data:; style-src " + hash(pageCSS) + "; script-src " + hash(pageJS) + "; base-uri 'none'; form-action 'none'",
	}
})

func encodeHTML(w io.Writer, r *Report) error {
	ss := Sections(r)
	v := newView(r, ss)
	b := &pageWriter{Writer: bufio.NewWriter(w), templates: v.templates, left: maxPeople}
	b.run("top", v)
	for _, s := range ss {
		b.section(s)
	}
	b.run("bottom", v)
	if b.err != nil {
		return fmt.Errorf("encode report: %w", b.err)
	}
	return b.Flush()
}

// pageWriter writes the parts of a page until one fails.
type pageWriter struct {
	*bufio.Writer
	templates *template.Template
	left      int // people that there is still room for
	err       error
}

func (w *pageWriter) run(name string, data any) {
	if w.err == nil {
		w.err = w.templates.ExecuteTemplate(w.Writer, name, data)
	}
}

func (w *pageWriter) section(s Section) {
	w.run("section", s)
	for _, g := range s.Groups {
		slices.SortStableFunc(g.Items, func(a, b *Item) int { return cmp.Compare(pictures(b), pictures(a)) })
		class, as, shown := "people", "person", shownPeople
		if s.Kind == "sent" || g.Code == string(outcome.HeldBack) && slices.ContainsFunc(g.Items, func(it *Item) bool { return pictures(it) > 0 }) {
			class, as, shown = "sheet", "picture", shownPictures
		}
		w.run(s.Kind, g)
		w.list(g, class, as, shown)
		if s.Kind == "left" {
			w.WriteString("</details>")
		} else {
			w.WriteString("</div>")
		}
	}
	w.WriteString("</section>\n")
}

// pictures counts the small pictures of a person: of what is sent and of what was there.
func pictures(it *Item) (n int) {
	if it.Image != nil {
		n = min(len(it.Image.Thumbnail), 1) + min(len(it.Image.Before), 1)
	}
	return n
}

// list writes the people of a group: the first of them to be seen, the others for
// the script to show.
func (w *pageWriter) list(g *Group, class, as string, shown int) {
	items := g.Items[:min(len(g.Items), w.left)]
	w.left -= len(items)
	if g.Counted > 0 {
		w.run("counted", g.Counted)
	}
	fmt.Fprintf(w, "<ul class=%q data-list>\n", class)
	for i, it := range items {
		if i == shown {
			w.WriteString("</ul><template>")
		}
		w.run(as, struct {
			*Item
			Lines []string
		}{it, g.Lines(it)})
	}
	if len(items) > shown {
		w.WriteString("</template>")
		w.run("more", len(items)-shown)
	} else {
		w.WriteString("</ul>")
	}
	if n := len(g.Items) - len(items); n > 0 {
		w.run("omitted", n)
	}
}
