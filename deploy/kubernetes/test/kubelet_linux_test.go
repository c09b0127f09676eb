//go:build cluster

package manifests

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubelet is a node: it takes every pod, runs the real binary for it as a container
// runtime would (its user, a read-only root, the volumes, the arguments and variables,
// SIGTERM, the grace period), and reports the exit code. It also is the scheduler, as
// there is one node. Claims are folders. It shares the network of the machine.
type kubelet struct {
	t      *testing.T
	server string // of the API
	binary string
	dir    string

	mu   sync.Mutex
	pods map[string]*process // by UID
	wg   sync.WaitGroup
}

// process is a pod's only container.
type process struct {
	cmd     *exec.Cmd
	log     string
	stopped bool // has been told to stop
	done    bool
}

const node = "test-node"

// startKubelet adds the node to the cluster. It ends with the test.
func startKubelet(t *testing.T, server, binary string) *kubelet {
	k := &kubelet{t: t, server: server, binary: binary, dir: t.TempDir(), pods: map[string]*process{}}
	logs := httptest.NewTLSServer(http.HandlerFunc(k.serveLog))
	port := logs.Listener.Addr().(*net.TCPAddr).Port
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	k.must(k.call("POST", "/api/v1/nodes", n, nil))
	n.Status = corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
		Conditions:      []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}
	k.must(k.call("PATCH", "/api/v1/nodes/"+node+"/status", map[string]any{"status": n.Status}, nil))
	ctx, cancel := context.WithCancel(context.Background())
	k.wg.Go(func() {
		for ctx.Err() == nil {
			k.sync()
			time.Sleep(100 * time.Millisecond)
		}
	})
	t.Cleanup(func() {
		cancel()
		k.mu.Lock()
		for _, p := range k.pods {
			if p.cmd != nil && p.cmd.Process != nil && !p.done {
				p.cmd.Process.Kill()
			}
		}
		k.mu.Unlock()
		k.wg.Wait()
		logs.Close()
	})
	return k
}

func (k *kubelet) must(err error) {
	if err != nil {
		k.t.Fatal(err)
	}
}

// call asks the API server.
func (k *kubelet) call(method, path string, body, into any) error {
	var data []byte
	if body != nil {
		data, _ = json.Marshal(body)
	}
	req, err := http.NewRequest(method, k.server+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer admin-token")
	req.Header.Set("Content-Type", "application/json")
	if method == "PATCH" {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	client := &http.Client{Transport: transport}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	return err
}

var transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // made up for this test, on loopback

// sync brings every pod one step further.
func (k *kubelet) sync() {
	var list corev1.PodList
	if err := k.call("GET", "/api/v1/pods", nil, &list); err != nil {
		return // the next round asks again
	}
	for i := range list.Items {
		pod := &list.Items[i]
		path := "/api/v1/namespaces/" + pod.Namespace + "/pods/" + pod.Name
		k.mu.Lock()
		p := k.pods[string(pod.UID)]
		k.mu.Unlock()
		switch {
		case pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil:
			k.call("POST", path+"/binding", &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}, nil)
		case pod.DeletionTimestamp != nil && (p == nil || k.ended(p)):
			grace := int64(0)
			k.call("DELETE", path, &metav1.DeleteOptions{GracePeriodSeconds: &grace}, nil)
		case pod.DeletionTimestamp != nil:
			k.terminate(p, time.Duration(*pod.DeletionGracePeriodSeconds)*time.Second)
		case p == nil && pod.Status.Phase == corev1.PodPending:
			p = &process{log: filepath.Join(k.dir, string(pod.UID)+".log")}
			k.mu.Lock()
			k.pods[string(pod.UID)] = p
			k.mu.Unlock()
			k.wg.Go(func() { k.run(pod, p, path) })
		}
	}
}

func (k *kubelet) ended(p *process) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return p.done
}

// terminate sends SIGTERM once, and SIGKILL when the grace period is over.
func (k *kubelet) terminate(p *process, grace time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p.stopped || p.cmd == nil || p.cmd.Process == nil {
		return
	}
	p.stopped = true
	p.cmd.Process.Signal(syscall.SIGTERM)
	time.AfterFunc(grace, func() {
		if !k.ended(p) {
			p.cmd.Process.Kill()
		}
	})
}

// run runs a pod from its start to the report of its exit code.
func (k *kubelet) run(pod *corev1.Pod, p *process, path string) {
	code, err := k.container(pod, p, path)
	if err != nil {
		k.t.Errorf("%s: %v", pod.Name, err)
		code = 128
	}
	phase := corev1.PodSucceeded
	if code != 0 {
		phase = corev1.PodFailed
	}
	now := metav1.Now()
	status := containerStatus(pod)
	status.State.Terminated = &corev1.ContainerStateTerminated{ExitCode: int32(code), StartedAt: now, FinishedAt: now}
	// Not the conditions: Kubernetes has noted there why the pod is disrupted.
	err = k.call("PATCH", path+"/status", map[string]any{"status": map[string]any{"phase": phase, "containerStatuses": []any{status}}}, nil)
	if err != nil {
		k.t.Errorf("%s: report its end: %v", pod.Name, err)
	}
	k.mu.Lock()
	p.done = true
	k.mu.Unlock()
}

func containerStatus(pod *corev1.Pod) corev1.ContainerStatus {
	c := pod.Spec.Containers[0]
	return corev1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: c.Image, ContainerID: "test://" + string(pod.UID)}
}

// container runs the binary as the pod's container.
func (k *kubelet) container(pod *corev1.Pod, p *process, path string) (int, error) {
	root, release, err := k.root(pod)
	defer release()
	if err != nil {
		return 0, err
	}
	log, err := os.Create(p.log)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	c, sc := pod.Spec.Containers[0], pod.Spec.SecurityContext
	env := environment(pod)
	cmd := exec.Command("/photosync")
	for _, arg := range c.Args {
		cmd.Args = append(cmd.Args, expand(arg, env))
	}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     root,
		Credential: &syscall.Credential{Uid: uint32(*sc.RunAsUser), Gid: uint32(*sc.RunAsGroup), Groups: []uint32{uint32(*sc.FSGroup)}},
	}
	k.mu.Lock()
	err = cmd.Start()
	p.cmd = cmd
	k.mu.Unlock()
	if err != nil {
		return 0, err
	}
	status := containerStatus(pod)
	status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.Now()}
	if err := k.call("PATCH", path+"/status", map[string]any{"status": map[string]any{"phase": corev1.PodRunning, "containerStatuses": []any{status}}}, nil); err != nil {
		k.t.Logf("%s: report its start: %v", pod.Name, err)
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if s := exit.Sys().(syscall.WaitStatus); s.Signaled() {
			return 128 + int(s.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

// environment is what the container's variables are.
func environment(pod *corev1.Pod) map[string]string {
	env := map[string]string{}
	for _, e := range pod.Spec.Containers[0].Env {
		env[e.Name] = expand(e.Value, env)
		if e.ValueFrom == nil || e.ValueFrom.FieldRef == nil {
			continue
		}
		switch field := e.ValueFrom.FieldRef.FieldPath; {
		case field == "metadata.namespace":
			env[e.Name] = pod.Namespace
		case strings.HasPrefix(field, "metadata.annotations['"):
			env[e.Name] = pod.Annotations[strings.TrimSuffix(strings.TrimPrefix(field, "metadata.annotations['"), "']")]
		case strings.HasPrefix(field, "metadata.labels['"):
			env[e.Name] = pod.Labels[strings.TrimSuffix(strings.TrimPrefix(field, "metadata.labels['"), "']")]
		}
	}
	return env
}

// expand replaces $(NAME) as Kubernetes does.
func expand(s string, env map[string]string) string {
	for name, value := range env {
		s = strings.ReplaceAll(s, "$("+name+")", value)
	}
	return s
}

// root makes the container's file system: the binary and the volumes, otherwise
// read-only. release unmounts it, and must be called after an error, too.
func (k *kubelet) root(pod *corev1.Pod) (root string, release func(), err error) {
	root = filepath.Join(k.dir, string(pod.UID))
	var mounts []string
	release = func() {
		for i := len(mounts) - 1; i >= 0; i-- {
			syscall.Unmount(mounts[i], syscall.MNT_DETACH)
		}
	}
	bind := func(from, to string, readOnly bool) error {
		if err := syscall.Mount(from, to, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", from, to, err)
		}
		mounts = append(mounts, to)
		if readOnly {
			return syscall.Mount("", to, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		}
		return nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return root, release, err
	}
	if err := copyFile(k.binary, filepath.Join(root, "photosync"), 0o755); err != nil {
		return root, release, err
	}
	type volume struct {
		from, to string
		readOnly bool
	}
	var volumes []volume
	env := environment(pod)
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		from, err := k.volume(pod, m.Name)
		if err != nil {
			return root, release, err
		}
		to := filepath.Join(root, m.MountPath)
		if sub := m.SubPath + expand(m.SubPathExpr, env); sub != "" { // a file of ours, so that it can be a copy
			err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), copyFile(filepath.Join(from, sub), to, 0o440), os.Chown(to, 0, int(*pod.Spec.SecurityContext.FSGroup)))
		} else {
			err = os.MkdirAll(to, 0o755)
			volumes = append(volumes, volume{from, to, m.ReadOnly})
		}
		if err != nil {
			return root, release, err
		}
	}
	if err := bind(root, root, *pod.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem); err != nil {
		return root, release, err
	}
	for _, v := range volumes {
		if err := bind(v.from, v.to, v.readOnly); err != nil {
			return root, release, err
		}
	}
	return root, release, nil
}

// volume is the folder with what a volume holds, for the pod's group.
func (k *kubelet) volume(pod *corev1.Pod, name string) (string, error) {
	group := int(*pod.Spec.SecurityContext.FSGroup)
	for _, v := range pod.Spec.Volumes {
		if v.Name != name {
			continue
		}
		if v.PersistentVolumeClaim != nil {
			dir := k.claim(pod.Namespace, v.PersistentVolumeClaim.ClaimName)
			return dir, errors.Join(os.MkdirAll(dir, 0o2775), os.Chown(dir, 0, group), os.Chmod(dir, 0o2775|os.ModeSetgid))
		}
		files := map[string][]byte{}
		if v.ConfigMap != nil {
			var c corev1.ConfigMap
			if err := k.call("GET", "/api/v1/namespaces/"+pod.Namespace+"/configmaps/"+v.ConfigMap.Name, nil, &c); err != nil {
				return "", err
			}
			for key, text := range c.Data {
				files[key] = []byte(text)
			}
		} else {
			var s corev1.Secret
			if err := k.call("GET", "/api/v1/namespaces/"+pod.Namespace+"/secrets/"+v.Secret.SecretName, nil, &s); err != nil {
				return "", err
			}
			files = s.Data
		}
		dir := filepath.Join(k.dir, "volumes", string(pod.UID), name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		for key, data := range files {
			file := filepath.Join(dir, key)
			if err := errors.Join(os.WriteFile(file, data, 0o440), os.Chown(file, 0, group)); err != nil {
				return "", err
			}
		}
		return dir, nil
	}
	return "", fmt.Errorf("no volume %s", name)
}

// claim is the folder that stands for a claim.
func (k *kubelet) claim(namespace, name string) string {
	return filepath.Join(k.dir, "claims", namespace, name)
}

func copyFile(from, to string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}

// serveLog is the part of a kubelet's own API that kubectl logs needs.
func (k *kubelet) serveLog(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/") // /containerLogs/NAMESPACE/POD/CONTAINER
	var pod corev1.Pod
	if len(parts) != 5 || k.call("GET", "/api/v1/namespaces/"+parts[2]+"/pods/"+parts[3], nil, &pod) != nil {
		http.NotFound(w, r)
		return
	}
	http.ServeFile(w, r, filepath.Join(k.dir, string(pod.UID)+".log"))
}
