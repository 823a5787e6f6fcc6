"""What is there and how it is doing, for a person to read."""

import json

from . import addons, cluster, engine, process, settings


def show() -> bool:
    """Prints the state of every layer; true when all of it is well."""
    rows, well = [], True
    for what, look in (("docker", _docker), ("containers", _containers), ("nodes", _nodes), ("pods", _pods),
                       ("storage", _storage), ("metrics", _metrics)):
        try:
            good, text = look()
        except process.Failure as failure:
            good, text = False, str(failure).splitlines()[-1]
        rows.append((good, what, text))
        well = well and good
        if not good and what in ("docker", "containers"):
            break
    for good, what, text in rows:
        print(f"{'ok ' if good else 'BAD'} {what:<11}{text}")
    last = settings.MEDIA_PORT_BASE + settings.MEDIA_PORT_COUNT - 1
    print(f"    kubeconfig {settings.KUBECONFIG}")
    print(f"    ports      127.0.0.1:{settings.MEDIA_PORT_BASE}-{last} -> NodePorts from {settings.NODE_PORT_BASE}")
    print(f"    logs       {settings.LOGS} and {settings.ENGINE_STATE}")
    print(f"    cache      {settings.CACHE}")
    return well


def _docker():
    if not engine.answers():
        return False, "no daemon answers; `up` starts one"
    return True, f"daemon {engine.version()}"


def _containers():
    running, known = cluster.nodes(running=True), cluster.nodes()
    return len(running) == settings.WORKER_COUNT + 1, f"{len(running)} of {len(known)} run: {' '.join(known) or 'none'}"


def _nodes():
    nodes = json.loads(cluster.kubectl("get", "nodes", "--output=json"))["items"]
    ready = [node for node in nodes if cluster.condition(node, "Ready")]
    versions = sorted({node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes})
    return len(ready) == settings.WORKER_COUNT + 1, f"{len(ready)} of {len(nodes)} Ready, {' '.join(versions)}"


def _pods():
    pods = json.loads(cluster.kubectl("get", "pods", "--all-namespaces", "--output=json"))["items"]
    system = [pod for pod in pods if pod["metadata"]["namespace"] in ("kube-system", "local-path-storage")]
    bad = [pod["metadata"]["name"] for pod in system
           if pod["status"].get("phase") != "Succeeded" and not cluster.condition(pod, "Ready")]
    return not bad, f"{len(system)} of the system, {len(pods)} in all" + (f"; not ready: {' '.join(bad)}" if bad else "")


def _storage():
    classes = json.loads(cluster.kubectl("get", "storageclasses", "--output=json"))["items"]
    default = [found["metadata"]["name"] for found in classes if found["metadata"].get("annotations", {}).get(
        "storageclass.kubernetes.io/is-default-class") == "true"]
    return default == ["standard"], f"default class: {' '.join(default) or 'none'}"


def _metrics():
    return addons.metrics_of_all_nodes(), "`kubectl top nodes` answers for every node"
