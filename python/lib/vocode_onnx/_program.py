"""The command ``vocode``."""

from __future__ import annotations

import sys

import vocode_onnx  # noqa: F401  (finds ONNX Runtime)

from . import _native


def main() -> int:
    """Runs the program on the arguments of this process and gives its exit code."""
    return _native.main(["vocode", *sys.argv[1:]])
