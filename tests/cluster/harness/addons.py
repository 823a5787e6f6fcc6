"""What every cluster gets after its nodes: storage that provisions, and metrics."""

import tempfile
from pathlib import Path

from . import archive, cluster, debian, images, process, settings
from .nodeimage import NodeImage


def ensure(image: NodeImage) -> None:
    with process.step("install storage and metrics"):
        if image.stock:
            _load_images()
        else:
            _apply("storage.yaml")
        _apply("metrics-server.yaml")
    with process.step("wait for DNS, storage and metrics"):
        _rolled_out("kube-system", "coredns")
        _rolled_out("local-path-storage", "local-path-provisioner")
        _rolled_out("kube-system", "metrics-server")
        process.wait_until("`kubectl top nodes`", settings.METRICS_SECS_MAX, metrics_of_all_nodes, every_secs=1)


def metrics_of_all_nodes() -> bool:
    lines = cluster.kubectl("top", "nodes", "--no-headers").splitlines()
    return len([line for line in lines if "<unknown>" not in line]) == settings.WORKER_COUNT + 1


def _apply(manifest: str) -> None:
    cluster.kubectl("apply", "--filename", str(settings.SOURCE / "manifests" / manifest))


def _rolled_out(namespace: str, deployment: str) -> None:
    cluster.kubectl("--namespace", namespace, "rollout", "status", f"deployment/{deployment}",
                    f"--timeout={settings.ADDONS_READY_SECS_MAX}s", timeout=settings.ADDONS_READY_SECS_MAX + 10)


def _load_images() -> None:
    """The stock node image brings its own storage, but no metrics, and no shell for the self-check."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.tar"
        archive.write(path, [images.metrics_server(), images.shell(debian.static_busybox())])
        cluster.load([str(path)])
