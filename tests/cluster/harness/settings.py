"""Names, places and numbers that the other modules share."""

import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent

CLUSTER = os.environ.get("MEDIAORIGIN_CLUSTER", "mediaorigin")

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mediaorigin" / "cluster"
STATE_ROOT = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "mediaorigin"
STATE = STATE_ROOT / CLUSTER
ENGINE_STATE = STATE_ROOT / "engine"
LOGS = STATE / "logs"
KUBECONFIG = STATE / "kubeconfig"
FINGERPRINT = STATE / "fingerprint"

# The same NodePorts in every cluster; only the host side may move, so that two clusters can live side by side.
NODE_PORT_BASE = 30080
MEDIA_PORT_BASE = int(os.environ.get("MEDIAORIGIN_MEDIA_PORT", NODE_PORT_BASE))
MEDIA_PORT_COUNT = 10

POD_SUBNET = "10.244.0.0/16"
SERVICE_SUBNET = "10.96.0.0/16"
WORKER_COUNT = 2

# Images built here live under a name that no registry can answer for.
IMAGE_PREFIX = "parts.mediaorigin.test"
IMAGE_TAG = "cluster"

KUBERNETES_MODULE = "k8s.io/kubernetes"

CACHE_AGE_DAYS_MAX = 30
ENGINE_START_SECS_MAX = 60
REGISTRY_PROBE_SECS_MAX = 20
REGISTRY_PULL_SECS_MAX = 900
NODES_READY_SECS_MAX = 180
ADDONS_READY_SECS_MAX = 120
METRICS_SECS_MAX = 90
LOG_TAIL_LINES = 40
SIGN_OF_LIFE_SECS = 30


def pinned_version(folder: str, module: str) -> str:
    """The version of `module` that tests/cluster/<folder>/go.mod requires."""
    for line in (SOURCE / folder / "go.mod").read_text().splitlines():
        words = line.removeprefix("require").split()
        if len(words) >= 2 and words[0] == module and words[1].startswith("v"):
            return words[1]
    raise ValueError(f"{folder}/go.mod does not require {module}")


def kubernetes_version() -> str:
    return pinned_version("kubernetes", KUBERNETES_MODULE)
