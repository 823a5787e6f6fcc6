"""Assembles a small image around one dynamically linked program: the program, what it links, and nothing else."""

import re
from pathlib import Path

from . import archive, process

NONROOT = 65532
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

PASSWD = f"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:{NONROOT}:{NONROOT}:nonroot:/:/sbin/nologin\n".encode()
GROUP = f"root:x:0:\nnonroot:x:{NONROOT}:\n".encode()
# glibc asks this file where names come from; without it host names of the cluster would not resolve everywhere.
NSSWITCH = b"passwd: files\ngroup: files\nhosts: files dns\n"


def assemble(tag: str, program: Path, entrypoint: str, target: Path) -> None:
    """Writes a docker-archive: same inputs, same bytes."""
    if not program.is_file():
        raise process.Failure(f"no program at {program}")
    files = {entrypoint: program, "/etc/passwd": PASSWD, "/etc/group": GROUP, "/etc/nsswitch.conf": NSSWITCH}
    files |= {name: Path(name).resolve() for name in linked(program)}
    if CERTIFICATES.exists():
        files[str(CERTIFICATES)] = CERTIFICATES.resolve()
    image = archive.Image(tags=[tag], files=files, directories=("/tmp",), entrypoint=(entrypoint,),
                          user=f"{NONROOT}:{NONROOT}")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    archive.write(partial, [image])
    partial.rename(target)


def linked(program: Path) -> list:
    """The shared libraries and the ELF interpreter, at the paths where the program looks for them."""
    try:
        listed = process.output(["ldd", program])
    except process.Failure as failure:
        if "not a dynamic executable" in str(failure):
            return []
        raise
    missing = re.findall(r"^\s*(\S+) => not found", listed, re.MULTILINE)
    if missing:
        raise process.Failure(f"{program} links libraries that this machine lacks: {', '.join(missing)}")
    return sorted(set(re.findall(r"(?:=> |^\s*)(/\S+) \(0x", listed, re.MULTILINE)))
