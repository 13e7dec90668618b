"""A bundle's folder: its graphs, and the manifest with their hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .conventions import toml


def write(folder: Path, conditioner: bytes, denoiser: bytes, manifest: str, denoiser_int8: bytes | None = None) -> None:
    """`manifest` is `bundle.toml` without its `[sha256]` table. Without a denoiser in integers, one that the folder had is removed."""
    files = {"conditioner.onnx": conditioner, "denoiser.onnx": denoiser, "denoiser.int8.onnx": denoiser_int8}
    folder.mkdir(parents=True, exist_ok=True)
    hashes = "\n[sha256]\n"
    for name, data in files.items():
        if data is None:
            (folder / name).unlink(missing_ok=True)
            continue
        (folder / name).write_bytes(data)
        hashes += f"{name.removesuffix('.onnx').replace('.', '_')} = {toml(hashlib.sha256(data).hexdigest())}\n"
    (folder / "bundle.toml").write_text(manifest + hashes)


def manifest_without_hashes(folder: Path) -> str:
    """The manifest of a bundle, as `write` takes it."""
    return (folder / "bundle.toml").read_text().split("[sha256]")[0].rstrip() + "\n"
