"""Writing a bundle's folder: the two graphs, and the manifest with their hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .conventions import toml


def write(folder: Path, conditioner: bytes, denoiser: bytes, manifest: str) -> None:
    """`manifest` is `bundle.toml` without its `[sha256]` table."""
    files = {"conditioner": conditioner, "denoiser": denoiser}
    folder.mkdir(parents=True, exist_ok=True)
    hashes = "\n[sha256]\n"
    for name, data in files.items():
        (folder / f"{name}.onnx").write_bytes(data)
        hashes += f"{name} = {toml(hashlib.sha256(data).hexdigest())}\n"
    (folder / "bundle.toml").write_text(manifest + hashes)
