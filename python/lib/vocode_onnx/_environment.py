"""Finds ONNX Runtime in the environment that this module runs in, activated or not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from . import _native


def find_runtime() -> None:
    """Tells the library where the package ``onnxruntime`` keeps its shared libraries. The package itself is not imported."""
    try:
        package = importlib.util.find_spec("onnxruntime")
    except (ImportError, ValueError):
        return
    for folder in (package and package.submodule_search_locations) or ():
        libraries = Path(folder) / "capi"
        if libraries.is_dir():
            _native.look_in_package(libraries)
