"""The images of the cluster's own pods, each a compiled program and little else."""

from pathlib import Path

from . import debian, golang, process, settings
from .archive import Image

CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
NONROOT = "65532:65532"


def own(name: str) -> str:
    return f"{settings.IMAGE_PREFIX}/{name}:{settings.IMAGE_TAG}"


def metrics_server() -> Image:
    return _single("metrics-server", golang.program("metrics-server"), user=NONROOT)


def shell(busybox: Path) -> Image:
    """A shell with the usual small tools: the storage helper's image, and the self-check's."""
    names = process.output([busybox, "--list"]).split()
    image = _named(own("shell"), {"/bin/busybox": busybox}, user=NONROOT)
    image.links = {f"/bin/{name}": "busybox" for name in names if name != "busybox"}
    return image


def node_images() -> list:
    """All images that a node built here carries."""
    asked_for = _names_asked_for_by_kubeadm()
    kubernetes = golang.build(golang.KUBERNETES)
    found = [_named(asked_for[name], {f"/usr/local/bin/{name}": kubernetes / name}) for name in CONTROL_PLANE]
    found.append(_named(asked_for["etcd"], {"/usr/local/bin/etcd": golang.program("etcd")}))
    found.append(_named(asked_for["coredns"], {"/coredns": golang.program("coredns")}, entrypoint="/coredns"))
    found.append(_kube_proxy(asked_for["kube-proxy"], kubernetes / "kube-proxy"))
    found.append(_single("pause", golang.program("pause"), user=NONROOT))
    found.append(_single("local-path-provisioner", golang.program("local-path-provisioner")))
    found.append(shell(next((debian.root_file_system() / "files").rglob("busybox"))))
    found.append(metrics_server())
    return found


def _names_asked_for_by_kubeadm() -> dict:
    """kubeadm decides the tags of etcd and CoreDNS; ours stand behind whatever it asks for."""
    listed = process.output([golang.program("kubeadm"), "config", "images", "list", "--kubernetes-version",
                             settings.kubernetes_version(), "--image-repository", settings.IMAGE_PREFIX])
    return {name.rsplit("/", 1)[1].split(":")[0]: name for name in listed.split()}


def _single(name: str, program: Path, user: str = "") -> Image:
    path = f"/usr/local/bin/{name}"
    return _named(own(name), {path: program}, entrypoint=path, user=user)


def _named(tag: str, files: dict, entrypoint: str = "", user: str = "") -> Image:
    return Image(tags=[tag], files=files, directories=("/tmp",), entrypoint=(entrypoint,) if entrypoint else (),
                 user=user)


def _kube_proxy(tag: str, program: Path) -> Image:
    """In nftables mode kube-proxy calls nft and conntrack; Debian links them to shared libraries."""
    folder = debian.root_file_system() / "files"
    files = {"/" + str(path.relative_to(folder)): path for path in sorted(folder.rglob("*"))
             if path.is_file() and path.name != "busybox"}
    return _named(tag, {**files, "/usr/local/bin/kube-proxy": program})
