// Package manifests tests the Kubernetes manifests against the types of its API.
package manifests

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	nightly  = ".."
	backfill = "../../kubernetes-backfill"
)

// build returns what `kubectl apply -k` would apply, by kind and name without the
// hash of a ConfigMap's. Each is decoded strictly: a key that Kubernetes does not
// know fails the test.
func build(t *testing.T, folder string) map[string]any {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]any{}
	for _, r := range resources.Resources() {
		name := r.GetKind() + "/" + r.GetName()
		if r.GetKind() == "ConfigMap" {
			name = r.GetKind() + "/" + configName.ReplaceAllString(r.GetName(), "photosync")
		}
		objects[name] = decode(t, name, []byte(r.MustYaml()), newObject(t, r.GetKind()))
	}
	return objects
}

// configName matches the name of the ConfigMap, with a hash of what is in it.
var configName = regexp.MustCompile(`^photosync-[a-z0-9]{10}$`)

// newObject is an empty object of a kind, to decode into.
func newObject(t *testing.T, kind string) any {
	t.Helper()
	switch kind {
	case "Namespace":
		return &corev1.Namespace{}
	case "ServiceAccount":
		return &corev1.ServiceAccount{}
	case "ConfigMap":
		return &corev1.ConfigMap{}
	case "PersistentVolumeClaim":
		return &corev1.PersistentVolumeClaim{}
	case "CronJob":
		return &batchv1.CronJob{}
	case "Job":
		return &batchv1.Job{}
	case "NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	}
	t.Fatalf("this test does not know the type %s", kind)
	return nil
}

func decode[T any](t *testing.T, name string, data []byte, into T) T {
	t.Helper()
	if err := yaml.UnmarshalStrict(data, into); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return into
}

// secret is the example of the secret in a folder.
func secret(t *testing.T, folder string) *corev1.Secret {
	t.Helper()
	data, err := os.ReadFile(folder + "/secret.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, folder, data, &corev1.Secret{})
}

// jobs are what the manifests run, by what they are for.
func jobs(t *testing.T) map[string]batchv1.JobSpec {
	return map[string]batchv1.JobSpec{
		"nightly":  build(t, nightly)["CronJob/photosync"].(*batchv1.CronJob).Spec.JobTemplate.Spec,
		"backfill": build(t, backfill)["Job/photosync-backfill"].(*batchv1.Job).Spec,
		"report":   build(t, nightly)["CronJob/photosync-report"].(*batchv1.CronJob).Spec.JobTemplate.Spec,
	}
}

// argument is the value of a flag of the only container; empty without it.
func argument(job batchv1.JobSpec, flag string) string {
	for _, arg := range job.Template.Spec.Containers[0].Args {
		if v, ok := strings.CutPrefix(arg, flag+"="); ok {
			return v
		}
	}
	return ""
}

func TestRestricted(t *testing.T) {
	for name, job := range jobs(t) {
		pod := job.Template.Spec
		c := pod.Containers[0]
		for what, ok := range map[string]bool{
			"non-root":        *pod.SecurityContext.RunAsNonRoot && *pod.SecurityContext.RunAsUser > 0,
			"seccomp":         pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
			"read-only root":  *c.SecurityContext.ReadOnlyRootFilesystem,
			"no escalation":   !*c.SecurityContext.AllowPrivilegeEscalation,
			"no capabilities": slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) && c.SecurityContext.Capabilities.Add == nil,
			"no API token":    !*pod.AutomountServiceAccountToken,
			"memory bounded":  !c.Resources.Limits.Memory().IsZero() && !c.Resources.Requests.Memory().IsZero(),
			"the image":       strings.HasPrefix(c.Image, "registry.example.com/photosync:"),
		} {
			if !ok {
				t.Errorf("%s: not so: %s", name, what)
			}
		}
	}
}

// A job lives longer than a run may take, and not much.
func TestDeadlines(t *testing.T) {
	for name, job := range jobs(t) {
		if name == "report" { // no run
			continue
		}
		limit, err := time.ParseDuration(argument(job, "--max-duration"))
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Duration(*job.ActiveDeadlineSeconds) * time.Second
		grace := time.Duration(*job.Template.Spec.TerminationGracePeriodSeconds) * time.Second
		if deadline < limit+grace || deadline > limit+time.Hour {
			t.Errorf("%s: activeDeadlineSeconds is %v, --max-duration %v", name, deadline, limit)
		}
		if grace < 30*time.Second { // photosync takes up to 25 s
			t.Errorf("%s: terminationGracePeriodSeconds is %v", name, grace)
		}
	}
}

// One night does not begin before the last one is over, and none during a backfill.
func TestNights(t *testing.T) {
	night := build(t, nightly)["CronJob/photosync"].(*batchv1.CronJob).Spec
	if night.ConcurrencyPolicy != batchv1.ForbidConcurrent || night.Suspend != nil {
		t.Errorf("concurrencyPolicy %s, suspend %v", night.ConcurrencyPolicy, night.Suspend)
	}
	if report := build(t, nightly)["CronJob/photosync-report"].(*batchv1.CronJob).Spec; report.Suspend == nil || !*report.Suspend {
		t.Error("the reports are shown without being asked for")
	}
	if suspend := build(t, backfill)["CronJob/photosync"].(*batchv1.CronJob).Spec.Suspend; suspend == nil || !*suspend {
		t.Error("nights go on during a backfill")
	}
}

// action is what an exit code makes of a job: of the first rule that matches.
func action(job batchv1.JobSpec, code int32) batchv1.PodFailurePolicyAction {
	for _, r := range job.PodFailurePolicy.Rules {
		if e := r.OnExitCodes; e != nil && *e.ContainerName == job.Template.Spec.Containers[0].Name && slices.Contains(e.Values, code) {
			return r.Action
		}
	}
	return batchv1.PodFailurePolicyActionCount
}

func TestExitCodes(t *testing.T) {
	jobs := jobs(t)
	for name, want := range map[string][]batchv1.PodFailurePolicyAction{ // of the codes from 1 to 6
		"nightly":  {"Count", "FailJob", "FailJob", "FailJob", "FailJob", "FailJob"},
		"backfill": {"Count", "FailJob", "FailIndex", "FailIndex", "FailIndex", "FailIndex"},
	} {
		job := jobs[name]
		for i, want := range want {
			if got := action(job, int32(i+1)); got != want {
				t.Errorf("%s: exit code %d: %s, want %s", name, i+1, got, want)
			}
		}
		if job.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
			t.Errorf("%s: podFailurePolicy needs restartPolicy: Never", name)
		}
		// A drained node comes first: it ends with exit code 6, too.
		if r := job.PodFailurePolicy.Rules[0]; r.Action != batchv1.PodFailurePolicyActionIgnore || r.OnPodConditions[0].Type != corev1.DisruptionTarget {
			t.Errorf("%s: first rule: %+v", name, r)
		}
	}
	if *jobs["nightly"].BackoffLimit < 1 || *jobs["backfill"].BackoffLimitPerIndex < 1 {
		t.Error("nothing is ever tried again")
	}
}

// All shards run at the same time, each with its token, where the configuration
// looks for it, and its own reports, on the node that has the volume.
func TestShards(t *testing.T) {
	objects := build(t, backfill)
	job := objects["Job/photosync-backfill"].(*batchv1.Job).Spec
	pod := job.Template
	n := int(*job.Completions)
	if *job.CompletionMode != batchv1.IndexedCompletion || *job.Parallelism != *job.Completions || argument(job, "--shard") != fmt.Sprintf("auto/%d", n) {
		t.Errorf("%s, %d completions, parallelism %d, --shard=%s", *job.CompletionMode, n, *job.Parallelism, argument(job, "--shard"))
	}
	if dir := argument(job, "--report-dir"); !strings.HasSuffix(dir, "-$(JOB_COMPLETION_INDEX)") {
		t.Errorf("the shards share the folder %s for reports", dir)
	}
	tokens := secret(t, backfill)
	if len(tokens.StringData) != n {
		t.Errorf("%d tokens for %d shards", len(tokens.StringData), n)
	}
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		for i := range n {
			if key := strings.ReplaceAll(m.SubPathExpr, "$(JOB_COMPLETION_INDEX)", strconv.Itoa(i)); m.Name == "tokens" && tokens.StringData[key] == "" {
				t.Errorf("shard %d: the secret has no %s", i, key)
			}
		}
	}
	term := pod.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0]
	if name := term.LabelSelector.MatchLabels[batchv1.JobNameLabel]; objects["Job/"+name] == nil || term.TopologyKey != corev1.LabelHostname {
		t.Errorf("the shards may be on different nodes: %+v", term)
	}
	if mode := objects["PersistentVolumeClaim/photosync"].(*corev1.PersistentVolumeClaim).Spec.AccessModes[0]; mode != corev1.ReadWriteOnce {
		t.Errorf("the volume is %s", mode)
	}
}

// What the pods mount is there, the configuration names the secrets where they are,
// and the network policy is about these pods.
func TestNamesFit(t *testing.T) {
	for name, folder := range map[string]string{"nightly": nightly, "backfill": backfill, "report": nightly} {
		objects, job := build(t, folder), jobs(t)[name]
		pod := job.Template.Spec
		config := objects["ConfigMap/photosync"].(*corev1.ConfigMap)
		secrets := []*corev1.Secret{secret(t, nightly), secret(t, folder)}
		for _, v := range pod.Volumes {
			ok := false
			switch {
			case v.ConfigMap != nil:
				ok = v.ConfigMap.Name == config.Name
			case v.Secret != nil:
				ok = slices.ContainsFunc(secrets, func(s *corev1.Secret) bool { return s.Name == v.Secret.SecretName })
			case v.PersistentVolumeClaim != nil:
				ok = objects["PersistentVolumeClaim/"+v.PersistentVolumeClaim.ClaimName] != nil
			}
			if !ok {
				t.Errorf("%s: the volume %s is nowhere", name, v.Name)
			}
		}
		for key := range secrets[0].StringData {
			if name == "report" { // needs no secret
				break
			}
			mounted := slices.ContainsFunc(pod.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool {
				file := m.MountPath
				if m.SubPath == "" && m.SubPathExpr == "" { // the whole secret
					file += "/" + key
				}
				return strings.HasSuffix(file, "/"+key) && strings.Contains(config.Data["config.yaml"], file+"\n")
			})
			if !mounted {
				t.Errorf("%s: the configuration does not name the %s that is mounted", name, key)
			}
		}
		for k, v := range objects["NetworkPolicy/photosync"].(*networkingv1.NetworkPolicy).Spec.PodSelector.MatchLabels {
			if job.Template.Labels[k] != v {
				t.Errorf("%s: the network policy selects %s=%s, the pod has %q", name, k, v, job.Template.Labels[k])
			}
		}
	}
}
