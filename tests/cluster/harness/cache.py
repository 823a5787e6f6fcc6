"""Entries of the cache: a folder named after the hash of everything it was made from."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from pathlib import Path

from . import settings


def digest(*inputs) -> str:
    """A hash over texts, bytes and files; a folder stands for all files below it."""
    total = hashlib.sha256()
    for item in inputs:
        if isinstance(item, Path):
            for path in _files(item):
                relative = path.relative_to(item) if item.is_dir() else path.name
                mode = "x" if os.access(path, os.X_OK) else "-"
                _feed(total, f"{relative} {mode}".encode())
                _feed(total, path.read_bytes())
        else:
            _feed(total, item if isinstance(item, bytes) else str(item).encode())
    return total.hexdigest()[:16]


@contextlib.contextmanager
def lock(path: Path, when_busy=None):
    """Holds an advisory lock; it ends with the process, so an interrupted run leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if when_busy:
                when_busy()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def entry(name: str, key: str, build) -> Path:
    """The folder of one cache entry; `build(folder)` fills it once, and a half-filled one is never seen."""
    folder = settings.CACHE / f"{name}-{key}"
    with lock(settings.CACHE / "locks" / name):
        if not folder.exists():
            partial = settings.CACHE / "partial" / name
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            build(partial)
            partial.rename(folder)
        os.utime(folder)
    return folder


def prune() -> None:
    """Removes entries that nobody has used for a month."""
    oldest = time.time() - settings.CACHE_AGE_DAYS_MAX * 86400
    for folder in settings.CACHE.glob("*-*"):
        if folder.is_dir() and folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)


def _files(path: Path) -> list:
    if path.is_file():
        return [path]
    return sorted(found for found in path.rglob("*") if found.is_file() and "__pycache__" not in found.parts)


def _feed(total, part: bytes) -> None:
    total.update(f"{len(part)}:".encode())
    total.update(part)
