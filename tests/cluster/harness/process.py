"""Runs commands: output goes to a log file, and a failure says which step, which command and what it printed."""

import contextlib
import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

from . import settings

_printing = threading.Lock()


class Failure(Exception):
    """Something that the person at the terminal has to read; the text is complete."""


def say(text: str) -> None:
    with _printing:
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(name: str):
    """Prints the step when it starts, while it lasts and, with its time, when it has ended."""
    say(f"  …  {name}")
    started = time.monotonic()
    ended = threading.Event()

    def tell_that_it_lasts():
        while not ended.wait(settings.SIGN_OF_LIFE_SECS):
            say(f"  …  {name} ({time.monotonic() - started:.0f} s so far)")

    teller = threading.Thread(target=tell_that_it_lasts, daemon=True)
    teller.start()
    mark = "✗"
    try:
        yield
        mark = "✓"
    finally:
        ended.set()
        teller.join()
        say(f"  {mark}  {name} ({time.monotonic() - started:.1f} s)")


def log_path(name: str) -> Path:
    settings.LOGS.mkdir(parents=True, exist_ok=True)
    return settings.LOGS / (name.replace(" ", "-").replace("/", "-") + ".log")


def tail(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return indented("\n".join(lines[-settings.LOG_TAIL_LINES :]))


def indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())


def run(name: str, args: list, *, env=None, cwd=None, stdin=None, timeout=None) -> None:
    """Runs one command of the step `name`; its output is only in the step's log."""
    path = log_path(name)
    with path.open("ab") as log:
        log.write(f"$ {shlex.join(map(str, args))}\n".encode())
        log.flush()
        try:
            done = subprocess.run(
                list(map(str, args)), stdout=log, stderr=subprocess.STDOUT, env=_environment(env), cwd=cwd,
                stdin=stdin or subprocess.DEVNULL, timeout=timeout,
            )
            why = f"ended with {done.returncode}"
        except subprocess.TimeoutExpired:
            done, why = None, f"did not end within {timeout} s"
        except FileNotFoundError as error:
            done, why = None, f"cannot start: {error}"
    if done is None or done.returncode != 0:
        raise Failure(f"step '{name}' failed\n  command: {shlex.join(map(str, args))}\n  {why}\n"
                      f"  last lines of {path}:\n{tail(path)}")


def output(args: list, *, env=None, timeout=60, stdin: str | None = None) -> str:
    """The standard output of a short command; a failure carries its standard error."""
    try:
        done = subprocess.run(list(map(str, args)), capture_output=True, text=True, timeout=timeout,
                              env=_environment(env), input=stdin if stdin is not None else "")
    except FileNotFoundError as error:
        raise Failure(f"cannot start {args[0]}: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"`{shlex.join(map(str, args))}` did not end within {timeout} s") from error
    if done.returncode != 0:
        text = "\n".join((done.stderr + done.stdout).splitlines()[-settings.LOG_TAIL_LINES :])
        raise Failure(f"`{shlex.join(map(str, args))}` ended with {done.returncode}\n{text}")
    return done.stdout


def succeeds(args: list, *, env=None, timeout=60) -> bool:
    try:
        output(args, env=env, timeout=timeout)
    except Failure:
        return False
    return True


def wait_until(what: str, secs_max: float, probe, every_secs: float = 0.5):
    """Calls `probe` until it returns something true; the last complaint is part of the failure."""
    deadline = time.monotonic() + secs_max
    while True:
        try:
            found, why = probe(), "not yet"
        except Failure as failure:
            found, why = None, str(failure)
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failure(f"waited {secs_max:.0f} s for {what}: {why}")
        time.sleep(every_secs)


def _environment(extra):
    return {**os.environ, **extra} if extra else None
