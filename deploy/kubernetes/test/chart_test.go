package manifests

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	chartutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

const chart = "../../helm/photosync"

// values reads what a person would write into a file for helm install -f.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	v := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// manifests is what `helm template RELEASE -n photosync` prints, by Helm's own library,
// which checks the values against the schema, too.
func manifests(release, text string, t *testing.T) (string, error) {
	t.Helper()
	c, err := loader.Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	v, err := chartutil.ToRenderValues(c, values(t, text), common.ReleaseOptions{Name: release, Namespace: "photosync", IsInstall: true}, nil)
	if err != nil {
		return "", err
	}
	files, err := engine.Engine{Strict: true}.Render(c, v)
	if err != nil {
		return "", err
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) == ".yaml" {
			all = append(all, files[name])
		}
	}
	return strings.Join(all, "\n---\n"), nil
}

// render decodes what the chart makes as strictly as build does.
func render(t *testing.T, release, text string) map[string]any {
	t.Helper()
	all, err := manifests(release, text, t)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]any{}
	for _, part := range strings.Split(all, "\n---\n") {
		var head struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(part), &head); err != nil {
			t.Fatalf("%v\n%s", err, part)
		}
		if head.Kind == "" { // a template whose condition is false
			continue
		}
		name := head.Kind + "/" + head.Metadata.Name
		objects[name] = decode(t, name, []byte(part), newObject(t, head.Kind))
	}
	return objects
}

func TestChartLint(t *testing.T) {
	for name, text := range map[string]string{"defaults": "{}", "backfill": "backfill: {enabled: true}"} {
		for _, m := range lint.RunAll(chart, values(t, text), "photosync").Messages {
			if m.Severity >= support.WarningSev {
				t.Errorf("%s: %s", name, m.Error())
			}
		}
	}
}

// comparable leaves out of an object what the chart and the kustomization mean to do
// differently: labels, and what Helm alone knows.
func comparable(t *testing.T, object any) any {
	t.Helper()
	data, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]any{}
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	var clean func(x any)
	clean = func(x any) {
		switch x := x.(type) {
		case map[string]any:
			if m, ok := x["metadata"].(map[string]any); ok {
				delete(m, "labels")
				delete(m, "annotations")
				delete(m, "namespace")
				if name, ok := m["name"].(string); ok && x["kind"] == "ConfigMap" {
					m["name"] = configName.ReplaceAllString(name, "photosync")
				}
			}
			if m, ok := x["configMap"].(map[string]any); ok {
				m["name"] = configName.ReplaceAllString(m["name"].(string), "photosync")
			}
			if m, ok := x["matchLabels"].(map[string]any); ok {
				delete(m, "app.kubernetes.io/instance")
			}
			if text, ok := x["config.yaml"].(string); ok { // comments and order do not matter
				config := map[string]any{}
				if err := yaml.Unmarshal([]byte(text), &config); err != nil {
					t.Fatal(err)
				}
				x["config.yaml"] = config
			}
			for _, v := range x {
				clean(v)
			}
		case []any:
			for _, v := range x {
				clean(v)
			}
		}
	}
	clean(v)
	return v
}

// The kustomization is the one source: with its defaults the chart makes the same.
func TestChartAgrees(t *testing.T) {
	for name, tt := range map[string]struct{ folder, values string }{
		"nightly":  {nightly, "{}"},
		"backfill": {backfill, "backfill: {enabled: true}"},
	} {
		want, got := build(t, tt.folder), render(t, "photosync", tt.values)
		delete(want, "Namespace/photosync") // helm install --create-namespace
		if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); d != "" {
			t.Errorf("%s: objects of the kustomization (-) and of the chart (+): %s", name, d)
			continue
		}
		for object := range want {
			if d := cmp.Diff(comparable(t, want[object]), comparable(t, got[object])); d != "" {
				t.Errorf("%s: %s: kustomization (-), chart (+): %s", name, object, d)
			}
		}
	}
}

func TestChartValues(t *testing.T) {
	objects := render(t, "hr", `
image: {repository: ghcr.io/example/photosync, digest: "sha256:`+strings.Repeat("ab", 32)+`", pullPolicy: IfNotPresent}
imagePullSecrets: [{name: pull}]
successOn: [3, 6]
suspend: true
persistence: {existingClaim: mine}
networkPolicy: {ports: [{port: 443}, {port: 88, protocol: UDP}]}
config: {metrics: {pushgateway: "http://pushgateway:9091"}, report: {dir: /var/lib/photosync/other}}
extraVolumes: [{name: photos, nfs: {server: files, path: /photos}}]
extraVolumeMounts: [{name: photos, mountPath: /photos, readOnly: true}]
nodeSelector: {disk: ssd}
tolerations: [{key: batch, operator: Exists}]
podLabels: {team: identity}
podAnnotations: {note: x}
`)
	cron := objects["CronJob/hr-photosync"].(*batchv1.CronJob).Spec
	pod := cron.JobTemplate.Spec.Template
	c := pod.Spec.Containers[0]
	var volumes, mounts []string
	for _, v := range pod.Spec.Volumes {
		volumes = append(volumes, v.Name)
	}
	for _, m := range c.VolumeMounts {
		mounts = append(mounts, m.Name)
	}
	report := objects["CronJob/hr-photosync-report"].(*batchv1.CronJob).Spec.JobTemplate.Spec.Template.Spec
	for what, ok := range map[string]bool{
		"image":       c.Image == "ghcr.io/example/photosync@sha256:"+strings.Repeat("ab", 32) && c.ImagePullPolicy == corev1.PullIfNotPresent,
		"pull secret": pod.Spec.ImagePullSecrets[0].Name == "pull",
		"successOn":   slices.Contains(c.Args, "--success-on=3,6"),
		"hint":        strings.Contains(c.Env[1].Value, "--from=cronjob/hr-photosync "),
		"suspend":     *cron.Suspend,
		"claim":       objects["PersistentVolumeClaim/hr-photosync"] == nil && report.Volumes[0].PersistentVolumeClaim.ClaimName == "mine",
		"ports":       len(objects["NetworkPolicy/hr-photosync"].(*networkingv1.NetworkPolicy).Spec.Egress[1].Ports) == 2,
		"config":      strings.Contains(objects["ConfigMap/hr-photosync"].(*corev1.ConfigMap).Data["config.yaml"], "pushgateway: http://pushgateway:9091"),
		"reports":     report.Containers[0].Args[1] == "/var/lib/photosync/other",
		"volumes":     slices.Contains(volumes, "photos") && slices.Contains(mounts, "photos"),
		"where":       pod.Spec.NodeSelector["disk"] == "ssd" && pod.Spec.Tolerations[0].Key == "batch",
		"metadata":    pod.Labels["team"] == "identity" && pod.Annotations["note"] == "x" && pod.Labels["app.kubernetes.io/instance"] == "hr",
	} {
		if !ok {
			t.Errorf("not as the values say: %s", what)
		}
	}
	shards := render(t, "photosync", "backfill: {enabled: true, shards: 2}")["Job/photosync-backfill"].(*batchv1.Job).Spec
	if *shards.Completions != 2 || *shards.Parallelism != 2 || argument(shards, "--shard") != "auto/2" {
		t.Errorf("two shards: %+v", shards)
	}
}

// A value that is misspelt or impossible is refused before anything is installed.
func TestChartSchema(t *testing.T) {
	for text, want := range map[string]string{
		"schedul: x":                          "schedul",
		"image: {digest: sha256:12}":          "digest",
		"successOn: [1]":                      "successOn",
		"persistence: {size: two}":            "size",
		"backfill: {shards: 1}":               "shards",
		"networkPolicy: {ports: [{port: 0}]}": "port",
		"maxDuration: tomorrow":               "maxDuration",
		"config: {sources: null}":             "sources",
	} {
		if _, err := manifests("photosync", text, t); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want a word about %s", text, err, want)
		}
	}
}
