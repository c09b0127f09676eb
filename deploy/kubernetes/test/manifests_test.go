// Package manifests tests the Kubernetes manifests against the types of its API.
package manifests

import (
	"os"
	"slices"
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

// build returns what `kubectl apply -k` would apply, by kind. Each is decoded
// strictly: a key that Kubernetes does not know fails the test.
func build(t *testing.T) map[string]any {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "..")
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]any{
		"Namespace": &corev1.Namespace{}, "ServiceAccount": &corev1.ServiceAccount{}, "ConfigMap": &corev1.ConfigMap{},
		"PersistentVolumeClaim": &corev1.PersistentVolumeClaim{}, "CronJob": &batchv1.CronJob{}, "NetworkPolicy": &networkingv1.NetworkPolicy{},
	}
	for _, r := range resources.Resources() {
		into, known := objects[r.GetKind()]
		if !known {
			t.Fatalf("a %s that this test does not know", r.GetKind())
		}
		if err := yaml.UnmarshalStrict([]byte(r.MustYaml()), into); err != nil {
			t.Errorf("%s: %v", r.GetKind(), err)
		}
	}
	if n := len(resources.Resources()); n != len(objects) {
		t.Errorf("%d objects, want %d", n, len(objects))
	}
	return objects
}

func TestRestricted(t *testing.T) {
	pod := build(t)["CronJob"].(*batchv1.CronJob).Spec.JobTemplate.Spec.Template.Spec
	c := pod.Containers[0]
	for what, ok := range map[string]bool{
		"non-root":        *pod.SecurityContext.RunAsNonRoot && *pod.SecurityContext.RunAsUser > 0,
		"seccomp":         pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"read-only root":  *c.SecurityContext.ReadOnlyRootFilesystem,
		"no escalation":   !*c.SecurityContext.AllowPrivilegeEscalation,
		"no capabilities": slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) && c.SecurityContext.Capabilities.Add == nil,
		"no API token":    !*pod.AutomountServiceAccountToken,
		"memory bounded":  !c.Resources.Limits.Memory().IsZero() && !c.Resources.Requests.Memory().IsZero(),
	} {
		if !ok {
			t.Errorf("not so: %s", what)
		}
	}
}

// The job lives longer than a run may take, and ends before the next one begins.
func TestDeadlines(t *testing.T) {
	cron := build(t)["CronJob"].(*batchv1.CronJob).Spec
	job := cron.JobTemplate.Spec
	deadline := time.Duration(*job.ActiveDeadlineSeconds) * time.Second
	grace := time.Duration(*job.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	var limit time.Duration
	for _, arg := range job.Template.Spec.Containers[0].Args {
		if v, ok := strings.CutPrefix(arg, "--max-duration="); ok {
			var err error
			if limit, err = time.ParseDuration(v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if limit == 0 || deadline < limit+grace || deadline > limit+time.Hour {
		t.Errorf("activeDeadlineSeconds is %v, --max-duration %v", deadline, limit)
	}
	if cron.ConcurrencyPolicy != batchv1.ForbidConcurrent {
		t.Errorf("concurrencyPolicy %s", cron.ConcurrencyPolicy)
	}
}

// What an exit code makes of the job.
func TestExitCodes(t *testing.T) {
	job := build(t)["CronJob"].(*batchv1.CronJob).Spec.JobTemplate.Spec
	if job.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Error("podFailurePolicy needs restartPolicy: Never")
	}
	if *job.BackoffLimit < 1 {
		t.Error("nothing is ever tried again")
	}
	action := func(code int32) batchv1.PodFailurePolicyAction {
		for _, r := range job.PodFailurePolicy.Rules {
			if e := r.OnExitCodes; e != nil && *e.ContainerName == job.Template.Spec.Containers[0].Name && slices.Contains(e.Values, code) {
				return r.Action
			}
		}
		return batchv1.PodFailurePolicyActionCount
	}
	for code, want := range map[int32]batchv1.PodFailurePolicyAction{1: "Count", 2: "FailJob", 3: "FailJob", 4: "FailJob", 5: "FailJob", 6: "FailJob"} {
		if got := action(code); got != want {
			t.Errorf("exit code %d: %s, want %s", code, got, want)
		}
	}
	// A drained node comes first: it ends with exit code 6, too.
	if r := job.PodFailurePolicy.Rules[0]; r.Action != batchv1.PodFailurePolicyActionIgnore || r.OnPodConditions[0].Type != corev1.DisruptionTarget {
		t.Errorf("first rule: %+v", r)
	}
}

// What the pod mounts is there, with the keys that the configuration names.
func TestNamesFit(t *testing.T) {
	o := build(t)
	pod := o["CronJob"].(*batchv1.CronJob).Spec.JobTemplate.Spec.Template
	data, err := os.ReadFile("../secret.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{}
	if err := yaml.UnmarshalStrict(data, secret); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"config": o["ConfigMap"].(*corev1.ConfigMap).Name, "secrets": secret.Name, "data": o["PersistentVolumeClaim"].(*corev1.PersistentVolumeClaim).Name,
	}
	for _, v := range pod.Spec.Volumes {
		var got string
		switch {
		case v.ConfigMap != nil:
			got = v.ConfigMap.Name
		case v.Secret != nil:
			got = v.Secret.SecretName
		case v.PersistentVolumeClaim != nil:
			got = v.PersistentVolumeClaim.ClaimName
		}
		if got != want[v.Name] {
			t.Errorf("volume %s: %q, want %q", v.Name, got, want[v.Name])
		}
	}
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		for key := range secret.StringData {
			if m.Name == "secrets" && !strings.Contains(o["ConfigMap"].(*corev1.ConfigMap).Data["config.yaml"], m.MountPath+"/"+key+"\n") {
				t.Errorf("the configuration does not name %s/%s", m.MountPath, key)
			}
		}
	}
	for k, v := range o["NetworkPolicy"].(*networkingv1.NetworkPolicy).Spec.PodSelector.MatchLabels {
		if pod.Labels[k] != v {
			t.Errorf("the network policy selects %s=%s, the pod has %q", k, v, pod.Labels[k])
		}
	}
}
