package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"photosync/cmd/internal/config"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver takes everything that is sent to it.
type receiver struct {
	mu       sync.Mutex
	requests []string // method and path
	bodies   map[string]string
	status   int
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body) // what came of it is looked at
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req.Method+" "+req.URL.Path)
	r.bodies[req.URL.Path] = string(body)
	if r.status != 0 {
		w.WriteHeader(r.status)
		fmt.Fprintf(w, "no: %s", req.URL.Path)
	}
}

func newReceiver(t *testing.T, status int) (*receiver, string) {
	r := &receiver{bodies: map[string]string{}, status: status}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return r, srv.URL
}

func run(result string, items ...report.Item) *report.Report {
	r := report.New("sync", "run", "dev", time.Now())
	r.Result = result
	r.Add(items...)
	return r
}

func notifyAll(o Options, r *report.Report) []string {
	n := New(o)
	n.Start(context.Background())
	return n.Finish(context.Background(), r, "Done & <fine>.")
}

func TestEverybodyIsTold(t *testing.T) {
	to, url := newReceiver(t, 0)
	file := filepath.Join(t.TempDir(), "photosync.prom")
	warnings := notifyAll(Options{
		Metrics: config.Metrics{Textfile: file, Pushgateway: config.Secret(url + "/gateway")},
		Notify:  config.Notify{Webhook: config.Secret(url + "/hook/secret"), When: "always", Healthcheck: config.Secret(url + "/ping/uuid")},
	}, run(report.Success, report.Item{Email: "ann@example.com", Outcome: "uploaded", Image: &report.Image{Width: 96, Thumbnail: "data:"}}))
	if len(warnings) > 0 {
		t.Fatal(warnings)
	}
	slices.Sort(to.requests)
	want := []string{"POST /gateway/metrics/job/photosync", "POST /hook/secret", "POST /ping/uuid", "POST /ping/uuid/start"}
	if !slices.Equal(to.requests, want) {
		t.Errorf("%q, want %q", to.requests, want)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(to.bodies["/gateway/metrics/job/photosync"]))
	if err != nil || families["photosync_last_success_timestamp_seconds"] == nil {
		t.Errorf("the gateway got %v, %v", families, err)
	}
	var got struct {
		Text        string        `json:"text"`
		MessageType string        `json:"message_type"`
		Result      string        `json:"result"`
		Items       []report.Item `json:"items"`
	}
	if err := json.Unmarshal([]byte(to.bodies["/hook/secret"]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Text != "Done &amp; &lt;fine&gt;." || got.MessageType != "summary" || got.Result != report.Success || len(got.Items) != 1 ||
		got.Items[0].Image.Width != 96 || got.Items[0].Image.Thumbnail != "" {
		t.Errorf("%+v", got)
	}
	if to.bodies["/ping/uuid"] != "sync: success, exit code 0\npeople 0, uploaded 1, partial_success 0, failed 0, skipped 0, held 0, unfinished 0, unchanged 0\nrun run\n" ||
		to.bodies["/ping/uuid/start"] != "" {
		t.Errorf("the health check got %q", to.bodies["/ping/uuid"])
	}
}

func finding(severity string) *report.Report {
	r := run(report.Success)
	r.Findings = []outcome.Finding{{Code: outcome.NobodyListed, Severity: severity}}
	return r
}

// Which receiver gets which result.
func TestWhen(t *testing.T) {
	failed := report.Item{Outcome: "failed"}
	incomplete := run(report.Success)
	incomplete.Sources = []report.Source{{Name: "ad"}}
	for _, c := range []struct {
		r    *report.Report
		hook bool
		ping string
	}{
		{run(report.Success), false, ""},
		{run(report.NothingToDo), false, ""},
		{run(report.Interrupted), false, ""},
		{run(report.Partial, failed), true, ""},
		{incomplete, true, ""},
		{finding(outcome.Attention), true, "/fail"},
		{finding(outcome.Notice), false, ""},
		{run(report.Failed), true, "/fail"},
		{run(report.Held), true, "/fail"},
	} {
		to, url := newReceiver(t, 0)
		if warnings := notifyAll(Options{Notify: config.Notify{Webhook: config.Secret(url + "/hook"), Healthcheck: config.Secret(url + "/ping/")}}, c.r); len(warnings) > 0 {
			t.Fatal(warnings)
		}
		_, hook := to.bodies["/hook"]
		if _, ping := to.bodies["/ping"+c.ping]; hook != c.hook || !ping && c.ping != "" || len(to.bodies) > 3 {
			t.Errorf("%s: told %q", c.r.Result, to.requests)
		}
	}
}

// A health check is a third party: it gets codes and counts, and nobody's address or name.
func TestHealthcheckNamesNobody(t *testing.T) {
	to, url := newReceiver(t, 0)
	r := run(report.Failed, report.Item{Email: "ann@example.com", Ref: "CN=Ann", Outcome: "failed", Message: "ann@example.com", Reason: "invalid_image"},
		report.Item{Email: "bob@example.com", Outcome: "skipped", Reason: "no_photo"})
	r.ExitCode = 1
	r.Sources = []report.Source{{Name: "Example Corp", Warnings: []string{"ann@example.com"}}}
	r.Findings = []outcome.Finding{{Code: "nobody_in_smartsheet", Count: 20, Of: 21, Message: "ann@example.com", Examples: []string{"ann@example.com"}}}
	r.Guards = []outcome.Breach{{Guard: "max_replaced", Message: "ann@example.com"}}
	r.Error = &report.Error{Message: "user ann@example.com", HTTPStatus: 401, ErrorCode: 1002, RefID: "abc1"}
	if warnings := notifyAll(Options{Notify: config.Notify{Healthcheck: config.Secret(url + "/ping")}}, r); len(warnings) > 0 {
		t.Fatal(warnings)
	}
	want := "sync: failed, exit code 1\npeople 0, uploaded 0, partial_success 0, failed 1, skipped 1, held 0, unfinished 0, unchanged 0\n" +
		"skipped no_photo: 1\nfinding nobody_in_smartsheet: 20 of 21\nguard max_replaced\nerror HTTP 401, errorCode 1002, refId abc1\nrun run\n"
	if got := to.bodies["/ping/fail"]; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What a server answers reaches a warning as one short line, without what a terminal
// would act on.
func TestForeignAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		"\x1b[2J\x1b]0;owned\a no": "HTTP 418 [2J ]0;owned no", "a\r\nb\tc": "HTTP 418 a b c", "evil\u202egnp.exe": "HTTP 418 evil gnp.exe",
		"\xff\xfe": "HTTP 418 �", strings.Repeat("x", 5000): "x…",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, answer)
		}))
		ctx, cancel := context.WithCancel(context.Background())
		n := New(Options{Notify: config.Notify{Healthcheck: config.Secret(srv.URL)}})
		n.http.Transport = once{n.http.Transport, cancel}
		warnings := n.Finish(ctx, run(report.Success), "Done.")
		srv.Close()
		if len(warnings) != 1 || !strings.HasSuffix(warnings[0], want) || len(warnings[0]) > 400 {
			t.Errorf("%q: %q, want %q", answer, warnings, want)
		}
	}
}

// Each kind of webhook gets what it takes.
func TestFormats(t *testing.T) {
	text := "photosync sync: Done.\n  *bold* <b> ann@example.com\n" + strings.Repeat("line\n", 1000)
	for _, format := range []string{"slack", "teams", "json"} {
		to, url := newReceiver(t, 0)
		if warnings := notifyAll(Options{Notify: config.Notify{Webhook: config.Secret(url + "/hook"), WebhookFormat: format, When: "always"}}, run(report.Partial, report.Item{Email: "ann@example.com"})); len(warnings) > 0 {
			t.Fatal(warnings)
		}
		n := New(Options{Notify: config.Notify{Webhook: config.Secret(url + "/hook"), WebhookFormat: format, When: "always"}})
		if warnings := n.Finish(context.Background(), run(report.Held), text); len(warnings) > 0 {
			t.Fatal(warnings)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(to.bodies["/hook"]), &got); err != nil {
			t.Fatal(err)
		}
		switch format {
		case "slack":
			if len(got) != 1 || !strings.HasPrefix(got["text"].(string), "photosync sync: Done.\n  *bold* &lt;b&gt; ann@") {
				t.Errorf("slack: %v", got)
			}
		case "json":
			if got["result"] != "held" || got["message_type"] != "summary" {
				t.Errorf("json: %v", got)
			}
		case "teams":
			a := got["attachments"].([]any)[0].(map[string]any)
			body := a["content"].(map[string]any)["body"].([]any)
			run := func(i int) map[string]any { return body[i].(map[string]any)["inlines"].([]any)[0].(map[string]any) }
			if got["type"] != "message" || a["contentType"] != "application/vnd.microsoft.card.adaptive" || len(body) != maxLines+1 ||
				run(0)["text"] != "photosync sync: Done." || run(0)["color"] != "attention" || run(1)["text"] != "\u00a0\u00a0*bold* <b> ann@example.com" || len(to.bodies["/hook"]) > 28<<10 {
				t.Errorf("teams: %s", to.bodies["/hook"])
			}
		}
	}
	for address, want := range map[string]string{
		"https://hooks.slack.com/services/T/B/x": "slack", "https://prod-1.westeurope.logic.azure.com:443/workflows/x/triggers/manual/paths/invoke?sig=x": "teams",
		"https://default0.1.environment.api.powerplatform.com:443/powerautomate/x": "teams", "https://notslack.com/x": "json", "https://example.com": "json",
	} {
		if got := formatOf("auto", address); got != want || formatOf("json", address) != "json" {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// A notice that cannot be sent is a warning that shows no secret, and takes a bounded time.
func TestNobodyListens(t *testing.T) {
	refused := "http://user:hunter2@127.0.0.1:1/hook/s3cret?key=s3cret"
	_, angry := newReceiver(t, http.StatusForbidden)
	angry += "/hook/s3cret"
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		o := Options{
			Metrics: config.Metrics{Pushgateway: config.Secret(refused), Textfile: "/nowhere/photosync.prom"},
			Notify:  config.Notify{Webhook: config.Secret(refused), When: "always", Healthcheck: config.Secret(refused)},
		}
		n := New(o)
		n.http.Transport = unreachable{}
		n.Start(context.Background())
		warnings := n.Finish(context.Background(), run(report.Success), "Done.")
		if len(warnings) != 4 {
			t.Errorf("%d warnings, want 4: %q", len(warnings), warnings)
		}
		for i, want := range []string{"write metrics", "push metrics to http://127.0.0.1:1/…: ", "send to the webhook at http://127.0.0.1:1/…: ", "ping the health check at http://127.0.0.1:1/…: "} {
			if !strings.HasPrefix(warnings[i], want) || strings.Contains(warnings[i], "s3cret") || strings.Contains(warnings[i], "hunter2") {
				t.Errorf("%q, want it to begin with %q", warnings[i], want)
			}
		}
		if d := time.Since(start); d > 2*timeout {
			t.Errorf("it took %v", d)
		}
	})
	for _, o := range []Options{{Notify: config.Notify{Webhook: config.Secret(angry), When: "always"}}, {Notify: config.Notify{Healthcheck: config.Secret(angry)}}, {Metrics: config.Metrics{Pushgateway: config.Secret(angry)}}} {
		ctx, cancel := context.WithCancel(context.Background())
		n := New(o)
		n.http.Transport = once{n.http.Transport, cancel} // no second attempt
		warnings := n.Finish(ctx, run(report.Success), "Done.")
		if len(warnings) != 1 || !strings.Contains(warnings[0], "403") || strings.Contains(warnings[0], "s3cret") {
			t.Errorf("%q", warnings)
		}
	}
}

// unreachable hangs until the request's time is over.
type unreachable struct{}

func (unreachable) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, fmt.Errorf("dial %s: %w", req.URL.Redacted(), req.Context().Err())
}

// once ends the telling after the first answer.
type once struct {
	http.RoundTripper
	cancel func()
}

func (o once) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.RoundTripper.RoundTrip(req)
	if err == nil {
		body, _ := io.ReadAll(resp.Body) // it is small and local
		resp.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	o.cancel()
	return resp, err
}

// What stays is not tried again: a wrong password may lock the account.
func TestNotAgain(t *testing.T) {
	to, url := newReceiver(t, http.StatusNotFound)
	if warnings := New(Options{Notify: config.Notify{Webhook: config.Secret(url + "/hook"), When: "always"}}).Finish(context.Background(), run(report.Success), "Done."); len(warnings) != 1 || len(to.requests) != 1 {
		t.Errorf("%d requests, %q", len(to.requests), warnings)
	}
}

// A receiver that stumbles gets it at the second attempt.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Notify: config.Notify{Webhook: "http://127.0.0.1:1/hook", When: "always"}})
		tries := 0
		n.http.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			status := http.StatusServiceUnavailable
			if tries++; tries == 2 {
				status = http.StatusOK
			}
			return &http.Response{StatusCode: status, Body: http.NoBody}, nil
		})
		if warnings := n.Finish(context.Background(), run(report.Success), "Done."); len(warnings) > 0 || tries != 2 {
			t.Errorf("%d tries, %q", tries, warnings)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A very long report is cut down to those who need a human.
func TestLongReport(t *testing.T) {
	r := run(report.Partial)
	var items []report.Item
	for i := range 20_000 {
		it := report.Item{Email: fmt.Sprintf("p%05d@example.com", i), Outcome: "uploaded", Message: "SUCCESS"}
		if i%10 == 0 {
			it.Outcome = "failed"
		}
		items = append(items, it)
	}
	r.Add(items...)
	body, err := json.Marshal(forPrograms(r, "text"))
	if err != nil || len(body) > 1<<20 {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	var got struct {
		Items   []report.Item `json:"items"`
		Omitted int           `json:"items_omitted"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Items) != maxItems || got.Omitted != 19_000 || got.Items[1].Email != "p00010@example.com" || len(r.Items) != 20_000 {
		t.Errorf("%d items, %d omitted", len(got.Items), got.Omitted)
	}
}
