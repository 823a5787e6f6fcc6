"""The subcommands, one function each."""

import os
import shlex
import time
from pathlib import Path

from . import addons, application, cache, cluster, engine, golang, nodeimage, process, selfcheck, settings, status

TOOLS_ON_PATH = ("kind", "kubectl", "helm")


def up(_arguments) -> None:
    started = time.monotonic()
    with _only_one():
        settings.LOGS.mkdir(parents=True, exist_ok=True)
        for log in settings.LOGS.glob("*.log"):
            log.unlink()
        engine.ensure()
        # The quickest build goes first: a broken compiler is noticed before minutes have passed.
        golang.program("kind")
        image = nodeimage.ensure()
        golang.program("kubectl")
        _ensure_cluster(image)
        golang.program("helm")
        nodeimage.prune(image)
        cache.prune()
    process.say(f"  the cluster '{settings.CLUSTER}' is up ({time.monotonic() - started:.0f} s): "
                f"export KUBECONFIG={settings.KUBECONFIG}")


def _ensure_cluster(image: nodeimage.NodeImage) -> None:
    """Containers come back by themselves with a new docker daemon, but not always in working order."""
    if cluster.is_well(cluster.fingerprint(image)):
        try:
            addons.ensure(image)
            return
        except process.Failure as failure:
            process.say(f"  the cluster that is there does not work, making a new one: {failure}")
    cluster.create(image)
    addons.ensure(image)


def down(arguments) -> None:
    with _only_one():
        cluster.down()
        if arguments.engine:
            engine.stop()


def load(arguments) -> None:
    with _only_one():
        _require_cluster()
        cluster.load(arguments.image)


def image(arguments) -> None:
    entrypoint = arguments.entrypoint or f"/usr/bin/{arguments.binary.name}"
    application.assemble(arguments.tag, arguments.binary, entrypoint, arguments.output)
    print(arguments.output)


def show(_arguments) -> int:
    return 0 if status.show() else 1


def check(_arguments) -> None:
    _require_cluster()
    selfcheck.run()


def tool(arguments) -> None:
    print(golang.program(arguments.name))


def env(_arguments) -> None:
    folders = [str(golang.program(name).parent) for name in TOOLS_ON_PATH]
    print(f"export KUBECONFIG={shlex.quote(str(settings.KUBECONFIG))}")
    print(f"export PATH={shlex.quote(os.pathsep.join(folders))}:\"$PATH\"")
    print(f"export MEDIAORIGIN_CLUSTER={shlex.quote(settings.CLUSTER)}")
    print(f"export MEDIAORIGIN_MEDIA_PORT={settings.MEDIA_PORT_BASE}")


def _only_one():
    """Two runs at once would make the same containers; the second waits and then finds everything done."""
    return cache.lock(settings.STATE / "lock",
                      when_busy=lambda: process.say("  another run is at work on this cluster: waiting for it"))


def _require_cluster() -> None:
    if not engine.answers() or not cluster.nodes(running=True) or not Path(settings.KUBECONFIG).exists():
        raise process.Failure(f"no cluster '{settings.CLUSTER}' is up; start it with: tests/cluster/cluster up")
