"""Writes container images as docker-archive files, the same bytes for the same inputs: no engine, no registry."""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

EPOCH = "1970-01-01T00:00:00Z"


@dataclass
class Image:
    """One image: its names, the files of its only layer (path in the image -> file or bytes) and its config."""

    tags: list
    files: dict
    links: dict = field(default_factory=dict)
    directories: tuple = ()
    entrypoint: tuple = ()
    user: str = ""


def write(target: Path, images: list) -> None:
    """Writes all images into one archive; layers pass through a temporary file, never whole through memory."""
    manifest = []
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for image in images:
            layer = target.with_name(target.name + ".layer")
            try:
                _write_layer(layer, image)
                with layer.open("rb") as handle:
                    layer_digest = hashlib.file_digest(handle, "sha256").hexdigest()
                config = json.dumps(_config(image, layer_digest), sort_keys=True).encode()
                config_name = hashlib.sha256(config).hexdigest() + ".json"
                _add_bytes(archive, config_name, config)
                _add_file(archive, f"{layer_digest}/layer.tar", layer)
            finally:
                layer.unlink(missing_ok=True)
            manifest.append({"Config": config_name, "RepoTags": image.tags,
                             "Layers": [f"{layer_digest}/layer.tar"]})
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())


def tags(archive: Path) -> list:
    """The image names that a docker-archive holds."""
    with tarfile.open(archive) as handle:
        manifest = json.load(handle.extractfile("manifest.json"))
    return [tag for image in manifest for tag in image.get("RepoTags") or []]


def _config(image: Image, layer_digest: str) -> dict:
    process = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "WorkingDir": "/"}
    if image.entrypoint:
        process["Entrypoint"] = list(image.entrypoint)
    if image.user:
        process["User"] = image.user
    return {
        "architecture": "amd64", "os": "linux", "created": EPOCH, "config": process,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": EPOCH, "created_by": "tests/cluster"}],
    }


def _write_layer(path: Path, image: Image) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as layer:
        for directory in _directories(image):
            entry = _entry(directory, tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755)
            layer.addfile(entry)
        for name, content in sorted(image.files.items()):
            if isinstance(content, bytes):
                _add_bytes(layer, name.lstrip("/"), content)
            else:
                _add_file(layer, name.lstrip("/"), Path(content))
        for name, destination in sorted(image.links.items()):
            entry = _entry(name.lstrip("/"), tarfile.SYMTYPE, 0o777)
            entry.linkname = destination
            layer.addfile(entry)


def _directories(image: Image) -> list:
    found = {name.strip("/") for name in image.directories}
    for name in [*image.files, *image.links, *image.directories]:
        found.update(str(parent) for parent in Path(name.lstrip("/")).parents if str(parent) != ".")
    return sorted(found)


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = _entry(name, tarfile.REGTYPE, 0o644)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _add_file(archive: tarfile.TarFile, name: str, source: Path) -> None:
    entry = _entry(name, tarfile.REGTYPE, 0o755 if source.stat().st_mode & 0o111 else 0o644)
    entry.size = source.stat().st_size
    with source.open("rb") as handle:
        archive.addfile(entry, handle)


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, 0
    return entry
