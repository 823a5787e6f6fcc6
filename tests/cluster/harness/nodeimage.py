"""The image that kind runs as a node: the stock one where a registry answers, else one made from the built parts."""

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import archive, cache, debian, engine, golang, images, process, settings

REPOSITORY = "mediaorigin-node"
BASE_REPOSITORY = "mediaorigin-node-base"
STOCK_REPOSITORY = "kindest/node"
BUILDER = "mediaorigin-node-builder"

COMPILED_INTO_IMAGES = (golang.KUBERNETES, golang.ETCD, golang.COREDNS, golang.METRICS_SERVER, golang.STORAGE,
                        golang.PAUSE)
MASKED_UNITS = ("systemd-udevd.service", "systemd-logind.service", "getty.target", "console-getty.service",
                "systemd-timesyncd.service", "systemd-resolved.service", "systemd-networkd.service",
                "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
                "fstrim.timer", "systemd-tmpfiles-clean.timer", "systemd-udevd-kernel.socket",
                "systemd-udevd-control.socket")
ENABLED_UNITS = ("containerd.service", "kubelet.service", "pod-routes.path")


@dataclass(frozen=True)
class NodeImage:
    """`stock` decides who brings the pod network and the storage: the image itself or this harness."""

    name: str
    stock: bool


def ensure() -> NodeImage:
    name = f"{REPOSITORY}:{_key()}"
    if engine.has_image(name):
        return NodeImage(name, stock=False)
    stock = f"{STOCK_REPOSITORY}:{settings.kubernetes_version()}"
    if engine.has_image(stock) or _pull(stock):
        return NodeImage(stock, stock=True)
    _build_parts()
    # Another cluster's run may be making the same image, with the same builder.
    with cache.lock(settings.CACHE / "locks" / "node-image"):
        if not engine.has_image(name):
            with process.step("assemble the node image"):
                _assemble(name)
    return NodeImage(name, stock=False)


def prune(current: NodeImage) -> None:
    """Removes node images of earlier inputs; one that a container still uses stays."""
    kept = (current.name, _base())
    for name in (*engine.images(REPOSITORY), *engine.images(BASE_REPOSITORY)):
        if name not in kept:
            process.succeeds(["docker", "image", "rm", name])


def _key() -> str:
    sources = settings.SOURCE
    return cache.digest(debian.root_key(), *(golang.key(part) for part in COMPILED_INTO_IMAGES), sources / "node",
                        *(sources / "harness" / name for name in ("archive.py", "images.py", "nodeimage.py")),
                        settings.POD_SUBNET)


def _base() -> str:
    return f"{BASE_REPOSITORY}:{debian.root_key()}"


def _pull(name: str) -> bool:
    """Asks for the manifest first: whether a registry answers must be known soon, the download may take long."""
    with process.step(f"ask a registry for {name}"):
        if not process.succeeds(["docker", "manifest", "inspect", name], timeout=settings.REGISTRY_PROBE_SECS_MAX):
            process.say("     none answers: building the node image from source")
            return False
    with process.step(f"pull {name}"):
        return process.succeeds(["docker", "pull", name], timeout=settings.REGISTRY_PULL_SECS_MAX)


def _build_parts() -> None:
    """Compiling fills the processors, so it goes one part at a time; Debian's download goes beside it."""
    with ThreadPoolExecutor(max_workers=2) as workers:
        root = workers.submit(debian.root_file_system)
        parts = workers.submit(lambda: [golang.build(part) for part in COMPILED_INTO_IMAGES])
        for work in (root, parts):
            work.result()


def _assemble(name: str) -> None:
    step = "assemble the node image"
    base = _base()
    if not engine.has_image(base):
        process.run(step, ["docker", "import", debian.root_file_system() / "root.tar", base])
    packed, overlay = settings.CACHE / "partial" / "images.tar", settings.CACHE / "partial" / "overlay.tar"
    packed.parent.mkdir(parents=True, exist_ok=True)
    process.succeeds(["docker", "rm", "--force", "--volumes", BUILDER])
    try:
        archive.write(packed, images.node_images())
        process.run(step, ["docker", "run", "--detach", "--privileged", "--network=none", "--name", BUILDER,
                           "--stop-signal", "SIGRTMIN+3", "--tmpfs", "/tmp", "--tmpfs", "/run", base,
                           "sleep", "infinity"])
        overlay.write_bytes(_overlay())
        _in_builder(step, ["tar", "--extract", "--directory", "/"], overlay)
        _in_builder(step, ["systemctl", "mask", *MASKED_UNITS])
        _in_builder(step, ["systemctl", "enable", *ENABLED_UNITS])
        _in_builder(step, ["/usr/local/sbin/import-images"], packed)
        process.run(step, ["docker", "commit", "--change", 'ENTRYPOINT ["/usr/local/bin/entrypoint"]',
                           "--change", "ENV container=docker", BUILDER, name])
    finally:
        packed.unlink(missing_ok=True)
        overlay.unlink(missing_ok=True)
        process.succeeds(["docker", "rm", "--force", "--volumes", BUILDER])


def _in_builder(step: str, command: list, standard_input: Path = Path("/dev/null")) -> None:
    with standard_input.open("rb") as handle:
        process.run(step, ["docker", "exec", "--interactive", BUILDER, *command], stdin=handle)


def _overlay() -> bytes:
    """The files that make Debian's root a node, as a tar archive."""
    node = settings.SOURCE / "node"
    kubernetes = golang.build(golang.KUBERNETES)
    files = {
        "usr/local/bin/entrypoint": node / "entrypoint",
        "usr/local/sbin/kubelet-cgroup": node / "kubelet-cgroup",
        "usr/local/sbin/pod-routes": node / "pod-routes",
        "usr/local/sbin/import-images": node / "import-images",
        "etc/systemd/system/kubelet.service": node / "kubelet.service",
        "etc/systemd/system/pod-routes.service": node / "pod-routes.service",
        "etc/systemd/system/pod-routes.path": node / "pod-routes.path",
        "etc/containerd/config.toml": (node / "containerd.toml").read_bytes().replace(
            b"@PAUSE@", images.own("pause").encode()),
        "etc/cni/pods.conflist.template": node / "pods.conflist.template",
        "etc/machine-id": b"",
        "kind/version": settings.kubernetes_version().encode() + b"\n",
        "kind/pod-subnet": settings.POD_SUBNET.encode() + b"\n",
        "kind/manifests/default-cni.yaml": node / "default-cni.yaml",
        "kind/manifests/default-storage.yaml": node / "default-storage.yaml",
    }
    files |= {f"usr/bin/{name}": kubernetes / name for name in ("kubeadm", "kubelet", "kubectl")}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as handle:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, Path):
                entry.mode = 0o755 if content.stat().st_mode & 0o111 else 0o644
                content = content.read_bytes()
            entry.size = len(content)
            handle.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
