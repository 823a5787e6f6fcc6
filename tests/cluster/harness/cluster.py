"""The kind cluster itself: is it there and well, make it, take it down, put images on its nodes."""

import contextlib
import json
import tempfile
from pathlib import Path

from . import archive, cache, engine, golang, process, settings
from .nodeimage import NodeImage

KIND_LABEL = "io.x-k8s.kind.cluster"


def nodes(running: bool = False) -> list:
    """The names of the cluster's containers."""
    which = [] if running else ["--all"]
    listed = process.output(["docker", "ps", *which, "--filter", f"label={KIND_LABEL}={settings.CLUSTER}",
                             "--format", "{{.Names}}"])
    return sorted(listed.split())


def kubectl(*arguments: str, timeout: float = 60, stdin: str | None = None) -> str:
    return process.output([golang.program("kubectl"), "--kubeconfig", settings.KUBECONFIG, *arguments],
                          timeout=timeout, stdin=stdin)


def is_well(fingerprint: str) -> bool:
    """All containers run, it was made from today's inputs, and every node is Ready."""
    if not settings.FINGERPRINT.exists() or settings.FINGERPRINT.read_text() != fingerprint:
        return False
    if len(nodes(running=True)) != settings.WORKER_COUNT + 1 or not settings.KUBECONFIG.exists():
        return False
    try:
        return process.wait_until("the nodes to be Ready", 20, nodes_are_ready)
    except process.Failure:
        return False


def nodes_are_ready() -> bool:
    listed = json.loads(kubectl("get", "nodes", "--output=json", "--request-timeout=5s"))["items"]
    ready = [node for node in listed if condition(node, "Ready")]
    return len(ready) == settings.WORKER_COUNT + 1


def condition(item: dict, kind: str) -> bool:
    return any(found["type"] == kind and found["status"] == "True" for found in item["status"].get("conditions", []))


def fingerprint(image: NodeImage) -> str:
    return cache.digest(image.name, str(image.stock), _config(image))


def create(image: NodeImage) -> None:
    """Makes the cluster from nothing; what an interrupted run or a new start of the machine left is removed first."""
    if nodes():
        with process.step("remove the cluster that is stale or not well"):
            _delete()
    step = "create the cluster"
    settings.STATE.mkdir(parents=True, exist_ok=True)
    config = settings.STATE / "kind.yaml"
    config.write_text(_config(image))
    with process.step(step), _kubelet_log_in_failure():
        process.run(step, [golang.program("kind"), "create", "cluster", "--name", settings.CLUSTER, "--image",
                           image.name, "--config", config, "--kubeconfig", settings.KUBECONFIG, "--retain"],
                    timeout=600)
        settings.KUBECONFIG.chmod(0o600)
    with process.step("wait for the nodes"), _kubelet_log_in_failure():
        process.wait_until("the nodes to be Ready", settings.NODES_READY_SECS_MAX, nodes_are_ready)
    settings.FINGERPRINT.write_text(fingerprint(image))


def down() -> None:
    settings.FINGERPRINT.unlink(missing_ok=True)
    if engine.answers() and nodes():
        with process.step("remove the cluster"):
            _delete()
    settings.KUBECONFIG.unlink(missing_ok=True)


def load(names: list) -> None:
    """Puts docker-archive files, or images of the local docker, on every node."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(name)
            if not path.is_file():
                path = Path(folder) / "image.tar"
                process.run("load an image", ["docker", "save", "--output", path, name])
            with process.step(f"load {' '.join(archive.tags(path)) or name}"):
                process.run("load an image", [golang.program("kind"), "load", "image-archive", path,
                                              "--name", settings.CLUSTER])


@contextlib.contextmanager
def _kubelet_log_in_failure():
    """kind says that a node did not come up; why, only the node knows."""
    try:
        yield
    except process.Failure as failure:
        text = str(failure)
        for node in nodes(running=True):
            with contextlib.suppress(process.Failure):
                log = process.output(["docker", "exec", node, "journalctl", "--unit=kubelet", "--no-pager",
                                      "--output=cat", "--lines=15"])
                text += f"\n  last lines of the kubelet on {node}:\n{process.indented(log)}"
        raise process.Failure(text) from failure


def _delete() -> None:
    settings.FINGERPRINT.unlink(missing_ok=True)
    process.run("remove the cluster", [golang.program("kind"), "delete", "cluster", "--name", settings.CLUSTER,
                                       "--kubeconfig", settings.KUBECONFIG], timeout=180)


def _config(image: NodeImage) -> str:
    """kind's configuration; JSON is YAML, so nothing has to be quoted by hand."""
    ports = [{"containerPort": settings.NODE_PORT_BASE + offset, "hostPort": settings.MEDIA_PORT_BASE + offset,
              "listenAddress": "127.0.0.1", "protocol": "TCP"} for offset in range(settings.MEDIA_PORT_COUNT)]
    kubelet = {"kind": "KubeletConfiguration", "failCgroupV1": False}
    patches = [kubelet]
    if not image.stock:
        kubelet["cgroupDriver"] = "cgroupfs"
        patches.append({"kind": "ClusterConfiguration", "imageRepository": settings.IMAGE_PREFIX})
    return json.dumps({
        "kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {
            "apiServerAddress": "127.0.0.1", "kubeProxyMode": "nftables", "podSubnet": settings.POD_SUBNET,
            "serviceSubnet": settings.SERVICE_SUBNET,
        },
        "nodes": [{"role": "control-plane", "extraPortMappings": ports},
                  *({"role": "worker", "labels": {"topology.kubernetes.io/zone": f"zone-{number}"}}
                    for number in range(settings.WORKER_COUNT))],
        "kubeadmConfigPatches": [json.dumps(patch) for patch in patches],
    }, indent=1)
