package report

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	jsonv2 "github.com/go-json-experiment/json" // encoding/json/v2 of Go 1.27: it writes a value in parts
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"photosync/sync/foreign"
	"photosync/sync/outcome"
	"photosync/sync/safefile"
)

// writeError is the error, if there is one, of a report or a plan that could not be written.
func writeError(what, path string, err error) error {
	if err == nil {
		return nil
	}
	err = foreign.WithoutPath(err)
	const other = ", or choose another place: for a plan with -o, for reports with report.dir or --report-dir"
	hint := "check that the folder exists, is writable and has space" + other
	for _, c := range []struct {
		err  error
		hint string
	}{
		{fs.ErrPermission, "give the user that runs photosync write access to the folder" + other},
		{syscall.ENOSPC, "make room on that disk (df -h; inodes: df -i)" + other + "; what was uploaded is recorded"},
		{syscall.EROFS, "the disk is mounted read-only: mount it writable" + other},
		{syscall.EIO, "the disk is failing: see the system's log" + other + "; what was uploaded is recorded"},
	} {
		if errors.Is(err, c.err) {
			hint = c.hint
		}
	}
	return outcome.WithHint(fmt.Errorf("write %s %q: %w", what, path, err), hint)
}

// CheckDir creates dir if it is missing, and checks that reports can be written to it: a run
// that could not report what it did must not begin.
func CheckDir(dir string) error {
	err := os.MkdirAll(dir, 0o750)
	if err == nil {
		err = safefile.Check(dir)
	}
	return writeError("report", dir, err)
}

// Write writes r to <dir>/<run-id>.<format> in each of the formats, each file whole or
// not at all, and returns the paths. latest.<format> is a copy for the last full sync, and
// latest-plan.<format> for the last plan. If one format fails, the others are still written.
func Write(dir string, r *Report, formats []string) (paths []string, err error) {
	names := []string{r.RunID}
	switch {
	case r.Mode == "plan":
		names = append(names, "latest-plan")
	case r.Full:
		names = append(names, "latest")
	}
	for _, format := range formats {
		fill := func(w io.Writer) error { return r.Encode(w, format) }
		for i, name := range names {
			path := filepath.Join(dir, name+"."+format)
			werr := safefile.Replace(path, 0o640, fill)
			if werr == nil && i == 0 {
				paths = append(paths, path)
				fill = func(w io.Writer) error { return copyFile(w, path) }
			}
			err = errors.Join(err, writeError("report", path, werr))
		}
	}
	return paths, err
}

func copyFile(to io.Writer, path string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = io.Copy(to, from)
	return err
}

// Prune removes the files of all runs in dir except the keep newest full syncs and as many
// other runs; keep 0 removes nothing. It leaves the files of the run called current, latest.*, and all other files.
func Prune(dir string, keep int, current string) error {
	if keep == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("prune reports: %w", err)
	}
	name := regexp.MustCompile(`^([0-9]{8}T[0-9]{6}Z-[a-z2-7]{6})\.(json|html|csv|plan\.json)$`)
	files := map[string][]string{} // by run
	for _, e := range entries {
		if m := name.FindStringSubmatch(e.Name()); m != nil {
			files[m[1]] = append(files[m[1]], e.Name())
		}
	}
	runs := slices.Sorted(maps.Keys(files)) // in the order of their names, which is that of time
	if _, there := files[current]; there {
		runs = append(slices.DeleteFunc(runs, func(run string) bool { return run == current }), current)
	}
	kept := map[bool]int{} // full syncs and others
	var errs error
	for _, run := range slices.Backward(runs) {
		full := isFull(filepath.Join(dir, run+".json"))
		if kept[full]++; kept[full] <= keep {
			continue
		}
		for _, f := range files[run] {
			// Another run may prune at the same time.
			if err := os.Remove(filepath.Join(dir, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = errors.Join(errs, fmt.Errorf("prune reports: %w", err))
			}
		}
	}
	return errs
}

// isFull reports whether a report is of a full sync, by its first lines.
func isFull(path string) bool {
	head := make([]byte, 1<<10)
	if f, err := os.Open(path); err == nil {
		_, _ = io.ReadFull(f, head) // it may be shorter
		f.Close()
	}
	return bytes.Contains(head, []byte(`"full": true`))
}

// Encode writes r in one of the formats, without characters that control a terminal.
func (r *Report) Encode(w io.Writer, format string) error {
	foreign.Clean(r)
	switch format {
	case "json":
		return encodeJSON(w, r, "")
	case "summary": // one line, with a message_type
		return encodeJSON(w, r, format)
	case "html":
		return encodeHTML(w, r)
	case "csv":
		return encodeCSV(w, r)
	}
	return fmt.Errorf("encode report: there is no format %q", format)
}

// JSON is how a report, or a part of it, is written: as encoding/json does it, but no list is null.
var JSON = jsonv2.JoinOptions(jsonv1.DefaultOptionsV1(), jsonv2.FormatNilSliceAsNull(false))

// encodeJSON writes a report indented, or with a message type on one line. It holds only a part of
// that in memory: the report of a first run has an item for everybody in the company.
func encodeJSON(w io.Writer, r *Report, messageType string) error {
	lines := jsontext.NewEncoder(w, JSON, jsontext.WithIndent("  "), jsontext.Multiline(messageType == ""))
	return jsonv2.MarshalEncode(lines, struct {
		MessageType string `json:"message_type,omitempty"`
		*Report
	}{messageType, r})
}

// WritePlan atomically writes a plan to path, readable only by its owner.
func WritePlan(path string, fill func(io.Writer) error) error {
	return writeError("plan", path, safefile.Replace(path, 0o600, fill))
}

func Read(path string) (*Report, error) {
	r, hint := &Report{}, "name the JSON file of a run, such as reports/latest.json; another one, if this is damaged"
	data, err := os.ReadFile(path)
	if err == nil && (json.Unmarshal(data, r) != nil || r.SchemaVersion < 1) {
		err = errors.New("it is not a report of photosync, or a damaged one")
	}
	if r.SchemaVersion > SchemaVersion { // more important than any other error
		err = fmt.Errorf("schema_version %d, and this photosync reads %d", r.SchemaVersion, SchemaVersion)
		hint = "a newer photosync wrote this report: use that one, or update this"
	}
	if err != nil {
		return nil, outcome.WithHint(fmt.Errorf("read report %q: %w", path, foreign.WithoutPath(err)), hint)
	}
	return r, nil
}

// columns of the CSV, in their order. New columns are added only at the end.
var columns = []string{
	"email", "user_id", "source", "ref", "reason", "outcome", "code", "http_status", "error_code", "ref_id", "message", "hint",
	"attempts", "duration_ms", "image_id", "format", "width", "height", "bytes",
	"source_format", "source_width", "source_height", "source_bytes", "changes", "source_sha256", "upload_sha256",
	"earlier_ref_ids", "candidates", "verified",
}

// encodeCSV writes the items as RFC 4180 has it, in UTF-8: a header, and a line for each person.
func encodeCSV(w io.Writer, r *Report) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	c.Write(columns) // Error returns what fails
	for _, it := range r.Items {
		row := it.row()
		for i, field := range row {
			row[i] = foreign.Cell(field)
		}
		c.Write(row)
	}
	c.Flush()
	return c.Error()
}

func (it Item) row() []string {
	var refIDs []string
	for _, e := range it.EarlierErrors {
		refIDs = append(refIDs, e.RefID)
	}
	verified := ""
	if it.Verified != nil {
		verified = map[bool]string{true: "yes", false: "no"}[*it.Verified]
	}
	img := value(it.Image)
	return []string{
		it.Email, number(it.UserID), it.Source, it.Ref, string(it.Reason), string(it.Outcome), it.Code, number(it.HTTPStatus), number(value(it.ErrorCode)),
		value(it.RefID), it.Message, it.Hint, strconv.Itoa(it.Attempts), strconv.FormatInt(it.DurationMS, 10), it.ImageID,
		img.Format, number(img.Width), number(img.Height), number(img.Bytes),
		img.SourceFormat, number(img.SourceWidth), number(img.SourceHeight), number(img.SourceBytes),
		strings.Join(img.Changes, "; "), img.SourceSHA256, img.UploadSHA256,
		strings.Join(refIDs, " "), strings.Join(it.Candidates, "; "), verified,
	}
}

// number returns n as text; empty for 0, which means unknown.
func number[N int | int64](n N) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(n), 10)
}

// value returns what p points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// MetricsType is the media type of Metrics: the text format of Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
const MetricsType = "text/plain; version=0.0.4; charset=utf-8"

// lastSuccess is the metric that a failed run leaves as it was: an alert on its age says that
// no run came to its end for too long.
const lastSuccess = "photosync_last_success_timestamp_seconds"

// Done reports whether the run came to its end, and did everything that it could.
func (r *Report) Done() bool {
	return r.Result == Success || r.Result == Partial || r.Result == NothingToDo
}

//go:embed metrics.txt
var metricsText string

// fate is what happened to a person, and why.
type fate struct {
	Outcome outcome.Outcome
	Reason  outcome.Reason
}

// Metrics returns r's numbers for Prometheus: gauges that describe the last run. Prometheus'
// own library would take a third of the program's start time and three megabytes.
func Metrics(r *Report) []byte {
	data := struct {
		*Report
		Ended        float64 // Unix time
		Took, Waited time.Duration
		People       map[fate]int
		Codes        map[string]int // of findings
		Incomplete   int            // sources
	}{
		r, float64(r.FinishedAt.UnixMilli()) / 1000, r.FinishedAt.Sub(r.StartedAt), time.Duration(r.Totals.QuotaWaitMS) * time.Millisecond,
		map[fate]int{{outcome.Skipped, outcome.Unchanged}: r.Totals.Unchanged}, map[string]int{}, 0,
	}
	for reason, skipped := range r.SkippedByReason {
		data.People[fate{outcome.Skipped, reason}] += skipped
	}
	for _, it := range r.Items {
		if it.Outcome != outcome.Skipped { // skipped people are counted above
			data.People[fate{it.Outcome, it.Reason}]++
		}
	}
	for _, f := range r.Findings {
		data.Codes[f.Code]++
	}
	for _, s := range r.Sources {
		if !s.Complete {
			data.Incomplete++
		}
	}
	metrics := template.Must(template.New("").Delims("<<", ">>").Funcs(template.FuncMap{"label": label}).Parse(metricsText))
	var text bytes.Buffer
	if err := metrics.Execute(&text, data); err != nil {
		panic(err) // a mistake in metrics.txt
	}
	return text.Bytes()
}

// label returns the value of a label, quoted.
func label(value any) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(fmt.Sprint(value), "�")) + `"`
}

// WriteMetrics atomically replaces the file at path, which node_exporter's textfile collector reads.
func WriteMetrics(path string, r *Report) error {
	text := Metrics(r)
	if !r.Done() {
		old, _ := safefile.Read(path) // if it cannot be read, writing reports why
		text = append(text, regexp.MustCompile(`(?m)^# HELP `+lastSuccess+` .*\n.*\n`+lastSuccess+` [0-9.e+]+\n`).Find(old)...)
	}
	// No collector reads a folder that is missing. It runs as another user, who must be able to read the file.
	_, err := os.Stat(filepath.Dir(path))
	if err == nil {
		err = safefile.Write(path, 0o644, text)
	}
	if err != nil {
		return fmt.Errorf("write metrics %q: %w", path, foreign.WithoutPath(err))
	}
	return nil
}
