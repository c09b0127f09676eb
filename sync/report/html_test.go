package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"photosync/sync/outcome"
)

func encode(t interface{ Fatal(...any) }, r *Report) string {
	var b bytes.Buffer
	if err := r.Encode(&b, "html"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The policy lets exactly the style and the script of the page in, and nothing else.
func TestPolicy(t *testing.T) {
	page := encode(t, sample(40))
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil {
		t.Fatal("no policy")
	}
	text := html.UnescapeString(policy[1])
	for _, part := range []string{"default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(text, part) {
			t.Errorf("the policy %q lacks %q", text, part)
		}
	}
	for _, tag := range []string{"style", "script"} {
		_, rest, _ := strings.Cut(page, "<"+tag+">")
		body, _, ok := strings.Cut(rest, "</"+tag+">")
		sum := sha256.Sum256([]byte(body))
		if want := tag + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !ok || !strings.Contains(text, want) {
			t.Errorf("the policy %q does not let %s in", text, tag)
		}
		if tag == "script" && len(body) > 10_000 {
			t.Errorf("the script has %d bytes", len(body))
		}
	}
	if found := regexp.MustCompile(`(?i)https?://|\sstyle="|@import|url\(`).FindString(page); found != "" {
		t.Errorf("the page holds %q", found)
	}
}

// A run that failed before it listed anybody was not about nobody, and left nothing that takes 0 ms.
func TestFailedPage(t *testing.T) {
	for result, want := range map[string]bool{Failed: false, NothingToDo: true} {
		page := encode(t, &Report{Mode: "sync", Result: result})
		if strings.Contains(page, "about nobody") != want || strings.Contains(page, "Left to do") {
			t.Errorf("%s: %v", result, !want)
		}
	}
}

// elements counts what a page consists of, and finds what a browser would run or
// load.
func elements(t interface{ Fatal(...any) }, page string) (count map[string]int, active []string) {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	count = map[string]int{}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		count[n.Data]++
		for _, a := range n.Attr {
			runs := strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" || a.Key == "srcset"
			loads := (a.Key == "src" || a.Key == "href" || a.Key == "action" || a.Key == "data") && !strings.HasPrefix(a.Val, "data:")
			if runs || loads {
				active = append(active, n.Data+" "+a.Key+"="+a.Val)
			}
		}
	}
	return count, active
}

// Whatever a report says, all of it is text: the page has the same elements as one
// of a harmless report of the same shape.
func TestAllIsText(t *testing.T) {
	build := func(s string) *Report {
		r := sample(5)
		code := 1128
		r.Version, r.Mode, r.PlanID, r.Approve, r.PlanFile, r.Warnings = s, s, s, s, s, []string{s}
		one := s + "1"
		r.Error = &Error{Message: s, Hint: s, RefID: s}
		r.Guards = []outcome.Breach{{Guard: s, Message: s}}
		r.Findings = []outcome.Finding{{Message: s, Hint: s, Examples: []string{s + "1"}}}
		r.Sources = []Source{{Name: s, Type: s, Warnings: []string{s}}}
		for _, became := range []outcome.Outcome{"uploaded", "failed", "partial_success", "skipped", "unfinished", "held"} {
			r.Add(Item{
				Email: s, Source: s, Ref: s, Reason: "new", Outcome: became, Message: s, Hint: s, RefID: &s, ErrorCode: &code, HTTPStatus: 400,
				FailedItems: []FailedItem{{Message: s + "1", RefID: &one}}, EarlierErrors: []AttemptError{{RefID: s + "2"}}, Candidates: []string{s},
				Image: &Image{Format: s, SourceFormat: s, Width: 1, SourceWidth: 1, Changes: []string{s}, Thumbnail: s, Before: s},
			})
		}
		return r
	}
	want, active := elements(t, encode(t, build("harmless")))
	if len(active) > 0 {
		t.Fatalf("active: %q", active)
	}
	check := func(t interface {
		Fatal(...any)
		Fatalf(string, ...any)
	}, s string) {
		page := encode(t, build(s))
		got, active := elements(t, page)
		for name := range got {
			if got[name] != want[name] {
				t.Fatalf("%q makes %d elements %s, want %d", s, got[name], name, want[name])
			}
		}
		if len(active) > 0 {
			t.Fatalf("%q makes something active: %q", s, active)
		}
	}
	for _, s := range []string{
		hostile, "</script><script>alert(1)</script>", "</style><b>", "</template></ul>", `"><svg onload=alert(1)>`, "' onclick='x",
		"data:text/html,<script>", "data:image/jpeg;base64,AA\" onerror=\"x", "javascript:alert(1)", "\u2028\u2029", "<!--", "]]>", "{{.}}", "&lt;b&gt;",
	} {
		check(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.StringMatching(`[<>"'/=&!a-z\x60\x00-\x20{}-]{1,30}`).Draw(t, "text"))
	})
}

func TestThumbnailsAreOnlyPictures(t *testing.T) {
	for text, ok := range map[string]bool{
		"data:image/jpeg;base64,/9j/4AAQ==": true, "": false, "http://x/a.jpg": false, "data:text/html;base64,AAAA": false,
		"data:image/svg+xml;base64,AAAA": false, "data:image/jpeg;base64,\"": false, "x": false,
	} {
		if got := jpeg(text) != ""; got != ok {
			t.Errorf("%q is shown: %v, want %v", text, got, ok)
		}
	}
}

// Of a held run the page shows cards, what Smartsheet shows beside what would be sent,
// those with both first; and what the guard says stands there once.
func TestHeldPage(t *testing.T) {
	const old, fresh = "data:image/jpeg;base64,b2xk", "data:image/jpeg;base64,bmV3"
	held := func(email, thumbnail, before string) Item {
		return Item{Email: email, Outcome: "held", Reason: "held", Message: "Changed at the source", Image: &Image{Thumbnail: thumbnail, Before: before}}
	}
	r := New("sync", "r", "1", sample(0).StartedAt)
	r.Add(held("a@example.com", "", ""), held("b@example.com", fresh, ""), held("c@example.com", fresh, old),
		held("d@example.com", fresh, "https://images.example.com/secret"), held("e@example.com", "", old))
	const says = "1,494 of 2,000 people known would get another picture"
	r.Result, r.Guards = Held, []outcome.Breach{{Guard: "max_replaced", Message: says}}
	r.Error = &Error{Message: "held back, nothing was written: guard.max_replaced: " + says}
	page := encode(t, r)
	if n := strings.Count(page, says); n != 1 {
		t.Errorf("the guard's sentence stands there %d times", n)
	}
	if strings.Count(page, `class="pair"`) != 1 || strings.Count(page, fresh) != 3 || strings.Count(page, old) != 1 || strings.Contains(page, "https:") {
		t.Error("not exactly one pair of pictures and two others, or an address")
	}
	var order []string
	for _, m := range regexp.MustCompile(`class="who">(.)<wbr>`).FindAllStringSubmatch(page, -1) {
		order = append(order, m[1])
	}
	if got := strings.Join(order, ""); got != "cdbea" {
		t.Errorf("order %q", got)
	}
	if !strings.Contains(page, `<p class="quiet">Changed at the source`) || strings.Contains(page, `<ul class="people"`) {
		t.Error("a card does not say why the picture would be sent")
	}
	r.Result, r.Error.Message = Interrupted, "stopped by a signal"
	if !strings.Contains(encode(t, r), "stopped by a signal") {
		t.Error("an error that no guard says is not there")
	}
}

// What is true of the whole run stands above everything else, with what to do.
func TestFindingsOnThePage(t *testing.T) {
	r := sample(3)
	r.Findings = []outcome.Finding{
		{Severity: outcome.Attention, Message: "The source hr lists nobody.", Hint: "check sources[0].path", Examples: []string{"one.txt", "two.txt"}},
		{Severity: outcome.Notice, Message: "2 addresses are claimed twice."},
	}
	page := encode(t, r)
	end := 0
	for _, want := range []string{
		"<h1>", `<div class="callout"><p><b>The source hr lists nobody.</b>`, "Such as one.txt, two.txt", "What to do: check sources[0].path",
		`<div class="callout mild"><p><b>2 addresses are claimed twice.`, `<svg class="bar"`,
	} {
		i := strings.Index(page, want)
		if i < end {
			t.Errorf("%s stands at %d, want it after %d", want, i, end)
		}
		end = i
	}
}

// Only so many people are on the page, the most urgent first; it says so.
func TestPageIsBounded(t *testing.T) {
	r := sample(0)
	for range maxPeople + 500 {
		r.Items = append(r.Items, Item{Email: "x@example.com", Outcome: "uploaded", Reason: "new", HTTPStatus: 200})
	}
	r.Items = append(r.Items, Item{Email: "last@example.com", Outcome: "failed", Reason: "new"})
	page := encode(t, r)
	if n := strings.Count(page, `class="who"`); n != maxPeople {
		t.Errorf("%d people, want %d", n, maxPeople)
	}
	if !strings.Contains(page, "last<wbr>@example.com") || !strings.Contains(page, "501 more are not on this page") {
		t.Error("the one who failed is not there, or the page does not say that it is not all")
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		mode, result string
		t            Totals
		guards       int
		want, mood   string
	}{
		{"sync", Success, Totals{Uploaded: 1}, 0, "1 picture was uploaded.", "good"},
		{"sync", Success, Totals{Uploaded: 12345}, 0, "12,345 pictures were uploaded.", "good"},
		{"sync", NothingToDo, Totals{People: 3, Unchanged: 3}, 0, "Nothing to do: everybody's picture is as it should be.", "good"},
		{"sync", NothingToDo, Totals{}, 0, "Nothing to do: this run is about nobody.", "good"},
		{"sync", NothingToDo, Totals{Skipped: 1}, 0, "Nothing to do.", "good"},
		{"sync", Success, Totals{People: 12, Unfinished: 12}, 0, "Nothing was uploaded, and 12 are left for the next run.", "good"},
		{"sync", Partial, Totals{Uploaded: 36, Failed: 2, PartialSuccess: 1}, 0, "36 pictures were uploaded, and 3 people need attention.", "warn"},
		{"sync", Partial, Totals{Failed: 1}, 0, "Nothing was uploaded, and 1 person needs attention.", "warn"},
		{"sync", Failed, Totals{}, 0, "The run failed.", "bad"},
		{"sync", Failed, Totals{Uploaded: 10, Failed: 1}, 0, "The run failed after 10 pictures were uploaded.", "bad"},
		{"sync", Held, Totals{}, 0, "Held back: nothing was written.", "warn"},
		{"sync", Held, Totals{Held: 9}, 1, "Held back by a guard: nothing was written.", "warn"},
		{"sync", Interrupted, Totals{Uploaded: 2, Unfinished: 98}, 0, "Stopped early: 2 pictures were uploaded, 98 are left for the next run.", "warn"},
		{"sync", Interrupted, Totals{Unfinished: 4}, 0, "Stopped early: nothing was uploaded, 4 are left for the next run.", "warn"},
		{"sync", Interrupted, Totals{}, 0, "Stopped early. What was done is recorded; the next run continues.", "warn"},
		{"plan", Success, Totals{Planned: 36}, 0, "A sync would upload 36 pictures.", "info"},
		{"plan", Success, Totals{Planned: 36}, 1, "A sync would upload 36 pictures, and a guard would hold it back.", "warn"},
		{"plan", Partial, Totals{Planned: 1, Failed: 2}, 0, "A sync would upload 1 picture, and 2 people need attention.", "warn"},
		{"plan", NothingToDo, Totals{}, 0, "Nothing to do: a sync would upload nothing.", "good"},
		{"plan", Interrupted, Totals{}, 0, "Stopped early: there is no plan.", "warn"},
		{"plan", Failed, Totals{}, 0, "The plan could not be made.", "bad"},
	} {
		r := &Report{Mode: c.mode, Result: c.result, Totals: c.t, Guards: make([]outcome.Breach, c.guards)}
		for range c.t.Failed + c.t.PartialSuccess + c.t.Held {
			r.Items = append(r.Items, Item{Outcome: "failed"})
		}
		colour := r.Mood()
		if got := r.Verdict(); got != c.want || colour != c.mood {
			t.Errorf("%s %s: %q, %s; want %q, %s", c.mode, c.result, got, colour, c.want, c.mood)
		}
		if colour == "good" { // never above a finding that needs somebody
			r.Findings = []outcome.Finding{{Severity: outcome.Notice}, {Severity: outcome.Attention}}
			colour = r.Mood()
			if got := r.Verdict(); !strings.Contains(got, "and the run as a whole needs attention") || colour != "warn" {
				t.Errorf("%s %s with a finding: %q, %s", c.mode, c.result, got, colour)
			}
		}
	}
}

// What needs a human stands first, and what goes away by itself last.
func TestGroups(t *testing.T) {
	failed := func(email string, code int, hint, message string) Item {
		return Item{Email: email, Outcome: "failed", Reason: "new", ErrorCode: &code, Hint: hint, Message: message, RefID: &email}
	}
	r := New("sync", "r", "1", sample(0).StartedAt)
	r.Add(
		failed("a", 4003, "retry by itself", "slow"), failed("b", 4003, "retry by itself", "slow"), failed("c", 4003, "retry by itself", "slow"),
		failed("d", 1128, "fix the photo", "too large"), failed("e", 1004, "fix the rights", "no"), failed("f", 1004, "fix the rights", "not for you"),
		Item{Email: "g", Outcome: "skipped", Reason: "ambiguous", Candidates: []string{"one", "two"}},
		Item{Email: "h", Outcome: "uploaded", Reason: "new"}, Item{Email: "i", Outcome: "unfinished", Reason: "new"},
		Item{Email: "j", Outcome: "skipped", Reason: "no_photo"}, Item{Email: "k", Outcome: "skipped", Reason: "no_photo"},
		Item{Email: "l", Outcome: "skipped", Reason: "known_bad", AlreadyReported: true}, Item{Email: "m", Outcome: "skipped", Reason: "something_new"},
	)
	r.Skip("out_of_shard", 3)
	var got []string
	for _, s := range Sections(r) {
		for _, g := range s.Groups {
			line := s.Kind + "|" + g.Code + "|" + g.Title
			for _, it := range g.Items {
				line += "|" + it.Email + ":" + strings.Join(g.Lines(it), ",")
			}
			got = append(got, line)
		}
	}
	want := []string{
		"attention|errorCode 1004|Smartsheet or the source did not do what was asked|e:no|f:not for you",
		"attention|ambiguous|More than one candidate|g:one,two",
		"attention|errorCode 1128|too large|d:",
		"attention|errorCode 4003|slow|a:|b:|c:",
		"sent|||h:", "later|||i:",
		"left|known_bad|Refused before|l:",
		"left|out_of_shard|In another shard", "left|no_photo|No photo|j:|k:", "left|something_new|something_new|m:",
	}
	if !slices.Equal(got, want) {
		t.Errorf("groups\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Everyone is on the page once, and as many need attention as the exit code says.
func TestEveryoneHasAPlace(t *testing.T) {
	outcomes := []outcome.Outcome{"planned", "uploaded", "partial_success", "failed", "held", "unfinished", "skipped"}
	reasons := []outcome.Reason{"new", "ambiguous", "shared_image", "known_bad", "no_photo", "held", "invalid_image"}
	rapid.Check(t, func(t *rapid.T) {
		r := New("sync", "r", "1", sample(0).StartedAt)
		n := rapid.IntRange(0, 30).Draw(t, "people")
		for range n {
			code := rapid.IntRange(0, 2).Draw(t, "errorCode")
			r.Add(Item{Outcome: rapid.SampledFrom(outcomes).Draw(t, "outcome"), Reason: rapid.SampledFrom(reasons).Draw(t, "reason"), ErrorCode: &code})
		}
		all, attention := 0, 0
		for _, s := range Sections(r) {
			all += s.N()
			if s.Kind == "attention" {
				attention = s.N()
			}
		}
		if all != n || attention != r.NeedsAttention() {
			t.Errorf("%d people on the page, %d need attention; want %d and %d", all, attention, n, r.NeedsAttention())
		}
	})
}

func TestBarFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string) int { return rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 1_000_000)).Draw(t, name) }
		parts := bar(Totals{Planned: n("planned"), Uploaded: n("uploaded"), PartialSuccess: n("partial"), Failed: n("failed"), Held: n("held"),
			Unfinished: n("unfinished"), Skipped: n("skipped"), Unchanged: n("unchanged")})
		end := 0.0
		for _, p := range parts {
			if p.X < end || p.Width < 5 || p.N == 0 {
				t.Errorf("part %+v begins before %f, or cannot be seen", p, end)
			}
			end = p.X + p.Width
		}
		if len(parts) > 0 && (end < 999.9 || end > 1000.1) {
			t.Errorf("the bar ends at %f", end)
		}
	})
}

// Files come from anywhere: none may break the program.
func FuzzEncode(f *testing.F) {
	for _, r := range []*Report{sample(0), sample(7)} {
		data, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"timeline":[{"start":"9999-12-31T23:59:59Z"},{"start":"0001-01-01T00:00:00Z","requests":-5}],"quota_per_minute":-1,"items":[{"image":{}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &Report{}
		if json.Unmarshal(data, r) != nil {
			return
		}
		for _, format := range []string{"html", "csv", "json"} {
			if err := r.Encode(io.Discard, format); err != nil && format != "json" { // years beyond 9999 are no JSON
				t.Errorf("%s: %v", format, err)
			}
		}
	})
}

func BenchmarkPage(b *testing.B) {
	r := sample(maxPeople)
	for b.Loop() {
		if err := r.Encode(io.Discard, "html"); err != nil {
			b.Fatal(err)
		}
	}
}
