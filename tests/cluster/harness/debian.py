"""What comes from Debian: packages for this machine, and the node's root file system."""

import os
import shutil
from pathlib import Path

from . import cache, process, settings

NODE_PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "containerd", "runc", "containernetworking-plugins", "iptables", "nftables",
    "iproute2", "kmod", "procps", "conntrack", "ethtool", "socat", "mount", "util-linux", "curl", "hostname",
    "libseccomp2", "ca-certificates", "busybox-static", "netbase",
)
# What a node never reads; it would be copied into three containers.
NODE_RUBBISH = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale",
                "usr/share/info", "var/log/bootstrap.log")
PROGRAMS_FOR_KUBE_PROXY = ("/usr/sbin/nft", "/usr/sbin/conntrack")
# Without these names nft says 6 and not tcp when it lists its maps. kube-proxy, which rewrites all rules an hour after its start, then
# takes every Service that did not change for one that is gone, and nothing reaches the API server or DNS any more.
NAMES_FOR_KUBE_PROXY = "/etc/protocols"


def install(*packages: str) -> None:
    """Installs Debian packages on this machine."""
    if not shutil.which("apt-get"):
        raise process.Failure(f"please install: {' '.join(packages)} (this machine has no apt-get)")
    if os.geteuid() != 0:
        raise process.Failure(f"please install as root: apt-get install {' '.join(packages)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    step = f"install {' '.join(packages)}"
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    with process.step(step):
        try:
            process.run(step, command, env=quiet)
        except process.Failure:
            # The package lists may be old or absent: a fresh machine needs an update first.
            process.run(step, ["apt-get", "update"], env=quiet)
            process.run(step, command, env=quiet)


def static_busybox() -> Path:
    """A busybox of this machine that runs in an image by itself."""
    found = shutil.which("busybox")
    if not found or process.succeeds(["ldd", found]):
        install("busybox-static")
    return Path(shutil.which("busybox") or "/bin/busybox")


def root_file_system() -> Path:
    """A cache entry: `root.tar`, the node's root, and `files/`, the few programs that go into small images."""
    return cache.entry("rootfs", root_key(), _bootstrap)


def root_key() -> str:
    return cache.digest(Path(__file__), _suite())


def _bootstrap(folder: Path) -> None:
    if os.geteuid() != 0:
        raise process.Failure("without a container registry the node's root is bootstrapped, which only root can do")
    if not shutil.which("debootstrap"):
        install("debootstrap")
    step = "bootstrap the node's root"
    root = folder / "root"
    with process.step(step):
        process.run(step, ["nice", "-n", "5", "debootstrap", "--variant=minbase",
                           f"--include={','.join(NODE_PACKAGES)}", _suite(), root, _mirror()])
        for program in PROGRAMS_FOR_KUBE_PROXY:
            _copy_with_libraries(root, program, folder / "files")
        _copy(root, NAMES_FOR_KUBE_PROXY, folder / "files")
        _copy(root, "/bin/busybox", folder / "files")
        for name in NODE_RUBBISH:
            path = root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        process.run(step, ["tar", "--create", "--numeric-owner", "--file", folder / "root.tar", "--directory", root,
                           "."])
        shutil.rmtree(root)


def _copy_with_libraries(root: Path, program: str, target: Path) -> None:
    _copy(root, program, target)
    for word in process.output(["chroot", root, "ldd", program]).split():
        if word.startswith("/"):
            _copy(root, word, target)


def _copy(root: Path, name: str, target: Path) -> None:
    """Follows links inside `root`: an absolute link there means the same path below `root`."""
    source = process.output(["chroot", root, "readlink", "--canonicalize-existing", name]).strip()
    destination = target / name.lstrip("/")
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(root / source.lstrip("/"), destination)


def _suite() -> str:
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    if release.get("ID", "").strip('"') != "debian":
        raise process.Failure("without a container registry the node image is built from Debian: run on Debian, or "
                              "give docker a registry")
    return release["VERSION_CODENAME"].strip('"')


def _mirror() -> str:
    """The mirror that this machine's apt is set up for; apt knows it only once its lists are there."""
    found = _known_mirror()
    if found is None:
        process.run("ask apt for its mirror", ["apt-get", "update"])
        found = _known_mirror()
    if found is None:
        raise process.Failure(f"apt knows no mirror for {_suite()} main")
    return found


def _known_mirror() -> str | None:
    lines = process.output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                            "Created-By: Packages"])
    for line in lines.splitlines():
        uri, release, component = line.split()
        if release == _suite() and component == "main":
            return uri
    return None
