"""What every cluster gets after its nodes: storage that provisions, and metrics."""

import json
import tempfile
from pathlib import Path

from . import archive, cluster, debian, images, process, settings
from .nodeimage import NodeImage

# An hour after its start kube-proxy writes all of its rules anew, and on these nodes (kube-proxy 1.36, nftables 1.0.6, kernel 6.18) the map
# of Services loses every one that did not change since: nothing reaches the API server or DNS any more. One that has just started
# writes them right. So the kubelet starts it again before the hour is over: nothing listens on this port.
KUBE_PROXY_SECS_MAX = 3_000
_END = {"tcpSocket": {"port": 1}, "initialDelaySeconds": KUBE_PROXY_SECS_MAX, "periodSeconds": 60, "failureThreshold": 1}
_KUBE_PROXY = {"spec": {"template": {"spec": {"containers": [{"name": "kube-proxy", "livenessProbe": _END}]}}}}


def ensure(image: NodeImage) -> None:
    with process.step("install storage and metrics"):
        if image.stock:
            _load_images()
        else:
            _apply("storage.yaml")
        _apply("metrics-server.yaml")
        cluster.kubectl("--namespace", "kube-system", "patch", "daemonset/kube-proxy", "--patch", json.dumps(_KUBE_PROXY))
    with process.step("wait for DNS, storage and metrics"):
        _rolled_out("kube-system", "daemonset/kube-proxy")
        _rolled_out("kube-system", "deployment/coredns")
        _rolled_out("local-path-storage", "deployment/local-path-provisioner")
        _rolled_out("kube-system", "deployment/metrics-server")
        process.wait_until("`kubectl top nodes`", settings.METRICS_SECS_MAX, metrics_of_all_nodes, every_secs=1)


def metrics_of_all_nodes() -> bool:
    lines = cluster.kubectl("top", "nodes", "--no-headers").splitlines()
    return len([line for line in lines if "<unknown>" not in line]) == settings.WORKER_COUNT + 1


def _apply(manifest: str) -> None:
    cluster.kubectl("apply", "--filename", str(settings.SOURCE / "manifests" / manifest))


def _rolled_out(namespace: str, name: str) -> None:
    cluster.kubectl("--namespace", namespace, "rollout", "status", name,
                    f"--timeout={settings.ADDONS_READY_SECS_MAX}s", timeout=settings.ADDONS_READY_SECS_MAX + 10)


def _load_images() -> None:
    """The stock node image brings its own storage, but no metrics, and no shell for the self-check."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.tar"
        archive.write(path, [images.metrics_server(), images.shell(debian.static_busybox())])
        cluster.load([str(path)])
