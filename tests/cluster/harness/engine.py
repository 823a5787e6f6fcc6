"""The docker engine: the one that already answers, or Debian's, started and looked after by us."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from . import cache, debian, golang, process, settings

SOCKET = Path("/var/run/docker.sock")
DEFAULT_PID_FILE = Path("/var/run/docker.pid")
CAPABILITIES_FULL = 41  # the kernel's capabilities known to runc: CAP_CHOWN … CAP_CHECKPOINT_RESTORE


def ensure() -> None:
    """Returns when a docker daemon answers."""
    if answers():
        return
    if os.environ.get("DOCKER_HOST"):
        raise process.Failure(f"no docker daemon answers at DOCKER_HOST={os.environ['DOCKER_HOST']}: unset it, or start "
                              "that daemon")
    if os.geteuid() != 0:
        raise process.Failure("no docker daemon answers, and only root can start one: start docker, set "
                              "DOCKER_HOST, or run this as root")
    with cache.lock(settings.ENGINE_STATE / "lock"):
        if not answers():
            _install_and_start()


def answers() -> bool:
    return bool(shutil.which("docker")) and process.succeeds(["docker", "version"], timeout=15)


def version() -> str:
    return process.output(["docker", "version", "--format", "{{.Server.Version}}"], timeout=15).strip()


def stop() -> None:
    """Stops the daemon if we started it; one that was already there is left alone."""
    pid = _our_daemon()
    if pid is None:
        process.say("  no docker daemon of ours is running")
        return
    os.kill(pid, signal.SIGTERM)
    process.wait_until("dockerd to end", 60, lambda: _our_daemon() is None)


def images(repository: str) -> list:
    listed = process.output(["docker", "image", "ls", repository, "--format", "{{.Repository}}:{{.Tag}}"])
    return listed.split()


def has_image(name: str) -> bool:
    return process.succeeds(["docker", "image", "inspect", name])


def _install_and_start() -> None:
    if not all(shutil.which(name) for name in ("dockerd", "containerd", "runc", "docker")):
        debian.install("docker.io", "iptables")
    arguments = ["dockerd", "--host", f"unix://{SOCKET}"]
    if _bounding_set_is_short():
        # A copy: the daemon outlives this run and must outlive the cache entry too.
        shim = shutil.copy2(golang.program("runc-shim"), settings.ENGINE_STATE / "runc-shim")
        arguments += ["--add-runtime", f"shim={shim}", "--default-runtime", "shim"]
    with process.step("start dockerd"):
        _forget_dead_daemon()
        log = settings.ENGINE_STATE / "dockerd.log"
        with log.open("wb") as handle:
            daemon = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle,
                                      start_new_session=True, cwd="/")
        _our_pid_file().write_text(str(daemon.pid))

        def ready():
            if daemon.poll() is not None:
                return "dead"
            return answers()

        try:
            if process.wait_until("dockerd", settings.ENGINE_START_SECS_MAX, ready) != "dead":
                return
        except process.Failure:
            daemon.terminate()
        raise process.Failure(f"step 'start dockerd' failed\n  command: {' '.join(map(str, arguments))}\n"
                              f"  last lines of {log}:\n{process.tail(log)}")


def _bounding_set_is_short() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            known = (1 << CAPABILITIES_FULL) - 1
            return int(line.split()[1], 16) & known != known
    return False


def _forget_dead_daemon() -> None:
    """After a crash or a new start of the machine the pid in the file may belong to somebody else."""
    if DEFAULT_PID_FILE.exists() and not _is_dockerd(_read_pid(DEFAULT_PID_FILE)):
        DEFAULT_PID_FILE.unlink()


def _our_daemon() -> int | None:
    pid = _read_pid(_our_pid_file())
    return pid if _is_dockerd(pid) else None


def _our_pid_file() -> Path:
    return settings.ENGINE_STATE / "dockerd.pid"


def _read_pid(path: Path) -> int | None:
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text.isdigit() else None


def _is_dockerd(pid: int | None) -> bool:
    """Nobody may have buried a dead one yet, hence the look at its state."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return status.startswith("Name:\tdockerd\n") and "\nState:\tZ" not in status
