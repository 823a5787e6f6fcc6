"""Proves that the cluster can do what the tests will ask of it; bounded in time, and it cleans up after itself."""

import json
import time
import urllib.error
import urllib.request

from . import addons, cluster, process, settings

NAMESPACE = "cluster-selfcheck"
MANIFEST = settings.SOURCE / "manifests" / "selfcheck.yaml"
HOST_PORT = settings.MEDIA_PORT_BASE + settings.MEDIA_PORT_COUNT - 1
PODS_READY_SECS_MAX = 60
ANSWER_SECS_MAX = 15
REQUESTS_MAX = 60


def run() -> None:
    _remove()
    try:
        with process.step("pods start under the restricted profile, a volume binds and is written"):
            _apply_and_wait()
        for name, check in (
            ("NodePort answers on 127.0.0.1 from both workers", _node_port_balances),
            ("pods reach pods on the other worker", _pods_reach_each_other),
            ("a kube-proxy that writes all of its rules anew keeps the services", _rules_are_written_anew),
            ("names of services resolve in pods", _names_resolve),
            ("memory is resized in place", _memory_is_resized),
            ("the API server reaches pods: logs and exec", _logs_and_exec),
            ("metrics of nodes", _metrics),
            ("a forbidden pod is refused", _restricted_profile_refuses),
        ):
            with process.step(name):
                check()
        with process.step("the volume is removed with its claim"):
            _volume_goes_with_claim()
    finally:
        _remove()


def _in_namespace(*arguments: str, **options) -> str:
    return cluster.kubectl("--namespace", NAMESPACE, *arguments, **options)


def _remove() -> None:
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=90)


def _apply_and_wait() -> None:
    cluster.kubectl("apply", "--filename", str(MANIFEST))
    _in_namespace("rollout", "status", "deployment/web", f"--timeout={PODS_READY_SECS_MAX}s",
                  timeout=PODS_READY_SECS_MAX + 10)
    _in_namespace("wait", "pod/writer", "--for=condition=Ready", f"--timeout={PODS_READY_SECS_MAX}s",
                  timeout=PODS_READY_SECS_MAX + 10)
    phase = _in_namespace("get", "persistentvolumeclaim/volume", "--output=jsonpath={.status.phase}")
    _expect("the claim's phase", phase, "Bound")


def _rules_are_written_anew() -> None:
    """As it does an hour after its start, too. A Service that is made afterwards says when it has done so."""
    cluster.kubectl("--namespace", "kube-system", "rollout", "restart", "daemonset/kube-proxy")
    cluster.kubectl("--namespace", "kube-system", "rollout", "status", "daemonset/kube-proxy",
                    f"--timeout={PODS_READY_SECS_MAX}s", timeout=PODS_READY_SECS_MAX + 10)
    _in_namespace("expose", "deployment/web", "--name=late")
    late = _in_namespace("get", "service", "late", "--output=jsonpath={.spec.clusterIP}")
    ours = cluster.kubectl("get", "service", "kubernetes", "--output=jsonpath={.spec.clusterIP}")
    for node in cluster.nodes(running=True):
        process.wait_until(f"{node} to know a new service", ANSWER_SECS_MAX, lambda node=node: _answers(node, late, 8080))
        if not _answers(node, ours, 443):
            raise process.Failure(f"{node} does not reach the API server's service any more")


def _answers(node: str, address: str, port: int) -> bool:
    return process.succeeds(["docker", "exec", node, "timeout", "2", "bash", "-c", f": <>/dev/tcp/{address}/{port}"])


def _node_port_balances() -> None:
    """Each request is a new connection, so each is balanced anew."""
    answers = set()
    deadline = time.monotonic() + ANSWER_SECS_MAX
    for _ in range(REQUESTS_MAX):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{HOST_PORT}/", timeout=2) as answer:
                answers.add(answer.read().decode().strip())
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise process.Failure(f"no answer on 127.0.0.1:{HOST_PORT}: {error}") from error
            time.sleep(0.2)
        if len(answers) == settings.WORKER_COUNT:
            return
    raise process.Failure(f"{REQUESTS_MAX} requests were answered only by: {' '.join(sorted(answers)) or 'nobody'}")


def _pods_reach_each_other() -> None:
    pods = json.loads(_in_namespace("get", "pods", "--selector=app=web", "--output=json"))["items"]
    for caller in pods:
        for called in pods:
            answer = _in_namespace("exec", caller["metadata"]["name"], "--", "timeout", "5", "wget", "-q", "-O", "-",
                                   f"http://{called['status']['podIP']}:8080/")
            _expect("the answering node", answer.strip(), called["spec"]["nodeName"])


def _names_resolve() -> None:
    answer = _in_namespace("exec", "writer", "--", "timeout", "5", "wget", "-q", "-O", "-", f"http://web.{NAMESPACE}.svc/")
    if not answer.startswith(settings.CLUSTER):
        raise process.Failure(f"the service answered '{answer.strip()}'")


def _memory_is_resized() -> None:
    """The cgroup's limit as the container sees it, not only what the API says."""
    before = _in_namespace("get", "pod/writer", "--output=jsonpath={.status.containerStatuses[0].containerID}")
    patch = {"spec": {"containers": [{"name": "writer", "resources": {"limits": {"memory": "48Mi"}}}]}}
    _in_namespace("patch", "pod/writer", "--subresource=resize", "--patch", json.dumps(patch))

    def resized():
        files = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true"
        return str(48 << 20) in _in_namespace("exec", "writer", "--", "sh", "-c", files)

    process.wait_until("the new memory limit", 20, resized)
    after = _in_namespace("get", "pod/writer", "--output=jsonpath={.status.containerStatuses[0].containerID}")
    _expect("the container after the resize", after, before)


def _logs_and_exec() -> None:
    _in_namespace("logs", "deployment/web")
    _expect("the file on the volume", _in_namespace("exec", "writer", "--", "cat", "/volume/file").strip(), "written")


def _metrics() -> None:
    process.wait_until("metrics of all nodes", 30, addons.metrics_of_all_nodes, every_secs=1)


def _restricted_profile_refuses() -> None:
    """The control: without it, the profile might not be enforced at all."""
    try:
        _in_namespace("run", "forbidden", "--image=parts.mediaorigin.test/shell:cluster", "--privileged")
    except process.Failure as failure:
        if "violates PodSecurity" in str(failure):
            return
        raise
    raise process.Failure("a privileged pod was admitted")


def _volume_goes_with_claim() -> None:
    volume = _in_namespace("get", "persistentvolumeclaim/volume", "--output=jsonpath={.spec.volumeName}")
    _in_namespace("delete", "pod/writer", "persistentvolumeclaim/volume", timeout=60)
    process.wait_until("the volume to be removed", 45, lambda: volume not in cluster.kubectl(
        "get", "persistentvolumes", "--output=name"))


def _expect(what: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise process.Failure(f"{what} is '{found}', expected '{wanted}'")
