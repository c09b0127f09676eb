//go:build cluster

package manifests

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// cluster is a namespace of a real control plane, with a node that runs photosync, and
// the people of a stand-in for Smartsheet. .ci/kubernetes starts what is behind it.
type cluster struct {
	*testing.T
	kubelet   *kubelet
	namespace string
}

const people = 40

// shell runs a command line as the documentation has it, in another namespace.
func (c *cluster) shell(line string) string {
	c.Helper()
	line = strings.ReplaceAll(line, "-n photosync ", "-n "+c.namespace+" ")
	out, err := exec.Command("bash", "-eo", "pipefail", "-c", line).CombinedOutput()
	if err != nil {
		c.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

func (c *cluster) apply(objects string) {
	c.Helper()
	cmd := exec.Command("kubectl", "apply", "-n", c.namespace, "-f", "-")
	cmd.Stdin = strings.NewReader(objects)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.Fatalf("kubectl apply: %v\n%s", err, out)
	}
}

// ends waits for the end of a job, and what it says.
func (c *cluster) ends(job, condition string) string {
	c.Helper()
	for range 600 {
		out, _ := exec.Command("kubectl", "-n", c.namespace, "get", "job", job, "-o", `jsonpath={range .status.conditions[?(@.status=="True")]}{.type} {.reason}{"\n"}{end}`).Output()
		for line := range strings.Lines(string(out)) {
			end := strings.Fields(line)[0]
			if end != "Complete" && end != "Failed" {
				continue // on its way there
			}
			log, _ := exec.Command("kubectl", "-n", c.namespace, "logs", "job/"+job).CombinedOutput()
			if !strings.HasPrefix(string(out), condition) && !strings.Contains(string(out), "\n"+condition) {
				c.Fatalf("the job %s: %s, want %s\n%s", job, out, condition, log)
			}
			return string(log)
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.Fatalf("the job %s does not end: %s", job, c.shell("kubectl -n photosync describe job/"+job+"; kubectl -n photosync get pods -o wide"))
	return ""
}

func (c *cluster) wants(text string, all ...string) {
	c.Helper()
	for _, want := range all {
		if !regexp.MustCompile(want).MatchString(text) {
			c.Fatalf("want %q in\n%s", want, text)
		}
	}
}

// recipe runs the command of the README that makes a job and holds text, with other
// names in it.
func (c *cluster) recipe(text string, replace ...string) {
	c.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		c.Fatal(err)
	}
	for block := range strings.SplitSeq(string(readme), "\n\n") {
		if strings.Contains(block, text) && strings.HasPrefix(strings.TrimLeft(block, " "), "kubectl ") {
			const last = "kubectl apply -f -"
			command, _, _ := strings.Cut(block, last)
			c.shell(strings.NewReplacer(replace...).Replace(command + last))
			return
		}
	}
	c.Fatalf("README.md has no commands with %q", text)
}

// pictures gives everybody a picture, another one in each series.
func (c *cluster) pictures(claim string, series int) {
	c.Helper()
	dir := filepath.Join(c.kubelet.claim(c.namespace, claim), "photos")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		c.Fatal(err)
	}
	for i := 1; i <= people; i++ {
		img := image.NewGray(image.Rect(0, 0, 32, 32))
		img.Set(i%32, i/32, color.Gray{uint8(100 + series*50)})
		var data bytes.Buffer
		if err := png.Encode(&data, img); err != nil {
			c.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("user%04d@example.com.png", i)), data.Bytes(), 0o644); err != nil {
			c.Fatal(err)
		}
	}
}

// smartsheet starts a stand-in for Smartsheet and returns its base URL.
func smartsheet(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Getenv("PHOTOSYNC"), append([]string{"simulate", "--listen=127.0.0.1:0", "--token=test-token", fmt.Sprintf("--users=%d", people)}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	text := make([]byte, 4096)
	n, err := io.ReadAtLeast(out, text, 120)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`http://127\.0\.0\.1:\d+/2\.0`).FindString(string(text[:n]))
}

const configuration = `
smartsheet: {base_url: "%s", token_file: /run/secrets/photosync/smartsheet-token}
sources: [{name: hr, type: folder, path: /var/lib/photosync/photos}]
state: {path: /var/lib/photosync/state.db}
report: {dir: /var/lib/photosync/reports}
log: {format: json}
`

// overlay is a kustomization over one of ours, as an administrator writes it.
func (c *cluster) overlay(folder, smartsheet string) string {
	c.Helper()
	dir := c.TempDir()
	base, err := filepath.Abs(folder)
	if err == nil {
		base, err = filepath.Rel(dir, base) // kustomize wants it so
	}
	if err != nil {
		c.Fatal(err)
	}
	for name, text := range map[string]string{
		"config.yaml": fmt.Sprintf(configuration, smartsheet),
		"kustomization.yaml": `
namespace: ` + c.namespace + `
resources: [` + base + `]
configMapGenerator: [{name: photosync, behavior: merge, files: [config.yaml]}]
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			c.Fatal(err)
		}
	}
	return dir
}

func (c *cluster) secrets() {
	c.shell("kubectl -n photosync create secret generic photosync --from-literal=smartsheet-token=test-token --from-literal=ldap-password=x")
	c.shell("kubectl -n photosync create secret generic photosync-backfill " +
		"--from-literal=smartsheet-token-0=test-token --from-literal=smartsheet-token-1=test-token --from-literal=smartsheet-token-2=test-token --from-literal=smartsheet-token-3=test-token")
}

func TestCluster(t *testing.T) {
	config, err := clientcmd.LoadFromFile(os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	k := startKubelet(t, config.Clusters["c"].Server, os.Getenv("PHOTOSYNC"))
	t.Run("nights", func(t *testing.T) { nights(&cluster{t, k, "nights"}) })
	t.Run("drained node", func(t *testing.T) { drained(&cluster{t, k, "drained"}) })
	t.Run("backfill", func(t *testing.T) { shards(&cluster{t, k, "shards"}) })
	t.Run("chart", func(t *testing.T) { helm(&cluster{t, k, "hr"}) })
}

// nights is the life of an administrator: look, first run, reports, a held run, and
// the approval by the command that it printed.
func nights(c *cluster) {
	c.shell("kubectl apply -k " + c.overlay("..", smartsheet(c.T)))
	c.wants(c.shell("kubectl get namespace nights -o yaml"), "enforce: restricted")
	c.secrets()
	c.pictures("photosync", 1)

	c.recipe(`["check"`)
	c.wants(c.ends("photosync-check", "Complete"), "A run can begin")
	c.recipe(`["plan"`)
	c.wants(c.ends("photosync-plan", "Complete"), fmt.Sprintf("would upload %d", people))
	c.shell("kubectl -n photosync create job --from=cronjob/photosync photosync-first")
	c.wants(c.ends("photosync-first", "Complete"), fmt.Sprintf("%d uploaded", people))
	c.recipe(`["explain"`, "ann@example.com", "user0007@example.com")
	c.wants(c.ends("photosync-explain", "Complete"), "user0007@example.com")

	c.shell("kubectl -n photosync create job --from=cronjob/photosync-report look")
	c.wants(browse(c.T, "/"), "latest")
	c.wants(browse(c.T, "/latest.html"), "<!DOCTYPE html>", "photosync")
	c.shell("kubectl -n photosync delete job look --wait=true")

	c.pictures("photosync", 2)
	c.shell("kubectl -n photosync create job --from=cronjob/photosync held")
	log := c.ends("held", "Failed PodFailurePolicy")
	c.wants(log, "Held back by a guard")
	command := regexp.MustCompile(`(?m)^\s*(kubectl .*--approve=([0-9a-f]{12}).*)$`).FindStringSubmatch(log)
	if command == nil {
		c.Fatalf("the held run does not say how to approve it:\n%s", log)
	}
	c.shell(command[1])
	c.wants(c.ends("approve-"+command[2], "Complete"), fmt.Sprintf("%d uploaded", people))

	// The next night comes by itself.
	c.shell(`kubectl -n photosync patch cronjob photosync -p '{"spec":{"schedule":"* * * * *"}}'`)
	for range 150 {
		time.Sleep(500 * time.Millisecond)
		if name := regexp.MustCompile(`photosync-\d+`).FindString(c.shell("kubectl -n photosync get jobs -o name")); name != "" {
			c.shell(`kubectl -n photosync patch cronjob photosync -p '{"spec":{"suspend":true}}'`)
			c.wants(c.ends(name, "Complete"), "Nothing to do")
			return
		}
	}
	c.Fatal("no night in 75 seconds")
}

// browse reads a page of the reports: the kubelet of this test shares this machine's
// network, so that no port needs to be forwarded.
func browse(t *testing.T, path string) string {
	t.Helper()
	var err error
	for range 100 {
		var res *http.Response
		if res, err = http.Get("http://127.0.0.1:8080" + path); err == nil {
			defer res.Body.Close()
			page, _ := io.ReadAll(res.Body)
			return string(page)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal(err)
	return ""
}

// drained evicts the pod in the middle of its uploads, as kubectl drain does: a new one
// continues at once, nobody is uploaded twice, and no retry is used up.
func drained(c *cluster) {
	base := smartsheet(c.T, "--fault=slow,op=upload,delay=1s")
	c.shell("kubectl apply -k " + c.overlay("..", base))
	c.secrets()
	c.pictures("photosync", 1)
	c.shell("kubectl -n photosync create job --from=cronjob/photosync night")
	pod := ""
	for range 100 {
		pod = strings.TrimSpace(c.shell(`kubectl -n photosync get pods -l batch.kubernetes.io/job-name=night --field-selector=status.phase=Running -o name`))
		if pod != "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(4 * time.Second) // some are uploaded by now
	name := strings.TrimPrefix(pod, "pod/")
	c.shell(fmt.Sprintf(`echo '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s","namespace":"%s"}}' |
		kubectl create --raw /api/v1/namespaces/%[2]s/pods/%[1]s/eviction -f -`, name, c.namespace))
	c.ends("night", "Complete")
	c.wants(c.shell(`kubectl -n photosync get job night -o 'jsonpath={.status.failed}/{.status.succeeded}'`), `^0?/1$`)
	c.shell("kubectl -n photosync create job --from=cronjob/photosync next")
	c.wants(c.ends("next", "Complete"), "Nothing to do")
}

// shards is a backfill by four pods, and the state made one afterwards.
func shards(c *cluster) {
	dir := c.overlay("../../kubernetes-backfill", smartsheet(c.T))
	c.shell("kubectl create namespace " + c.namespace + " && kubectl label namespace " + c.namespace + " pod-security.kubernetes.io/enforce=restricted")
	c.secrets()
	c.pictures("photosync", 1)
	c.shell("kubectl apply -k " + dir)
	c.ends("photosync-backfill", "Complete")
	c.wants(c.shell("kubectl -n photosync get cronjob photosync -o yaml"), "suspend: true")
	c.recipe(`"--shards=4"`)
	c.ends("photosync-collect", "Complete")
	c.shell("kubectl -n photosync create job --from=cronjob/photosync next")
	c.wants(c.ends("next", "Complete"), "Nothing to do")
}

// helm is what the chart makes, admitted by the real types, and one run of it.
func helm(c *cluster) {
	base := smartsheet(c.T)
	c.shell("kubectl create namespace hr && kubectl label namespace hr pod-security.kubernetes.io/enforce=restricted")
	c.secrets()
	config := strings.ReplaceAll(strings.TrimSpace(fmt.Sprintf(configuration, base)), "\n", "\n  ")
	config = strings.Replace(config, "smartsheet: {", "smartsheet: {region: null, ", 1) // or that of the defaults stays
	objects, err := manifests("hr", "config:\n  "+config, c.T)
	if err != nil {
		c.Fatal(err)
	}
	c.apply(objects)
	c.pictures("hr-photosync", 1)
	c.shell("kubectl -n hr create job --from=cronjob/hr-photosync first")
	c.wants(c.ends("first", "Complete"), fmt.Sprintf("%d uploaded", people))
	c.pictures("hr-photosync", 2)
	c.shell("kubectl -n hr create job --from=cronjob/hr-photosync held")
	c.wants(c.ends("held", "Failed PodFailurePolicy"), "kubectl -n hr create job --from=cronjob/hr-photosync approve-")
}
