"""Compiles the cluster's Go parts from the modules beside this folder; each is built once per content of its folder."""

import re
import shutil
from dataclasses import dataclass
from functools import cache as memoised
from pathlib import Path

from . import cache, process, settings

GO_MINOR_MIN = 26
BUILD_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false",
                     "GOWORK": "off"}


@dataclass(frozen=True)
class Part:
    """One Go module of ours and the programs that are built from it: name of the binary -> package."""

    folder: str
    programs: tuple


_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubeadm",
               "kubectl")

KIND = Part("kind", (("kind", "sigs.k8s.io/kind"),))
KUBERNETES = Part("kubernetes", tuple((name, f"k8s.io/kubernetes/cmd/{name}") for name in _KUBERNETES))
ETCD = Part("etcd", (("etcd", "go.etcd.io/etcd/server/v3"),))
COREDNS = Part("coredns", (("coredns", "github.com/coredns/coredns"),))
METRICS_SERVER = Part("metrics-server", (("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server"),))
HELM = Part("helm", (("helm", "helm.sh/helm/v4/cmd/helm"),))
STORAGE = Part("local-path-provisioner",
               (("local-path-provisioner", "github.com/rancher/local-path-provisioner"),))
# Not of the cluster: the conformance suite for HTTP/2, which the origin's tests run.
H2SPEC = Part("h2spec", (("h2spec", "github.com/summerwind/h2spec/cmd/h2spec"),))
SHIM = Part("shim", (("runc-shim", "."),))
PAUSE = Part("pause", (("pause", "."),))

PARTS = (KIND, KUBERNETES, ETCD, COREDNS, METRICS_SERVER, HELM, STORAGE, H2SPEC, SHIM, PAUSE)


def build(part: Part) -> Path:
    """The folder that holds the part's programs."""
    return cache.entry(part.folder, key(part), lambda folder: _compile(part, folder))


def key(part: Part) -> str:
    return cache.digest(settings.SOURCE / part.folder, part, _version(), _linker_flags(part), BUILD_ENVIRONMENT)


def part_of(program: str) -> Part | None:
    return next((part for part in PARTS if program in dict(part.programs)), None)


def program(name: str) -> Path:
    """The path of one program, built first if need be."""
    part = part_of(name)
    if part is None:
        known = ", ".join(sorted(name for part in PARTS for name, _ in part.programs))
        raise process.Failure(f"no tool named '{name}'; there are: {known}")
    return build(part) / name


def _compile(part: Part, folder: Path) -> None:
    step = f"build {part.folder}"
    nice = ["nice", "-n", "5"] if shutil.which("nice") else []
    # One call builds and links side by side; it can name its outputs only when there is a single program.
    target = folder if len(part.programs) > 1 else folder / part.programs[0][0]
    with process.step(step):
        process.run(step, [*nice, "go", "build", "-trimpath", "-ldflags", _linker_flags(part), "-o", target,
                           *(package for _, package in part.programs)],
                    env=BUILD_ENVIRONMENT, cwd=settings.SOURCE / part.folder)


def _linker_flags(part: Part) -> str:
    if part is not KUBERNETES:
        return "-s -w"
    version = settings.kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamps.items())


@memoised
def _version() -> str:
    if not shutil.which("go"):
        raise process.Failure(f"the cluster's parts are compiled: install Go 1.{GO_MINOR_MIN} or newer")
    text = process.output(["go", "version"], env=BUILD_ENVIRONMENT).strip()
    found = re.search(r"go1\.(\d+)", text)
    if found and int(found[1]) < GO_MINOR_MIN:
        raise process.Failure(f"Go 1.{GO_MINOR_MIN} or newer is needed, PATH has: {text}")
    return text
