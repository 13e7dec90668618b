"""Scripts elsewhere in the repository that use the package: few of them run in a check."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("benches", "models/demo", "samples", "tests/fixtures")


def scripts() -> list[Path]:
    """Those of the repository, without environments that were made beside them."""
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if ".venv" not in path.parts)


def imported() -> list[tuple[str, str, str]]:
    """Script, module and name of each import from the package."""
    found = []
    for path in scripts():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vocode_training"):
                found += [(str(path.relative_to(ROOT)), str(node.module), alias.name) for alias in node.names]
    return found


def test_there_are_such_scripts() -> None:
    assert {script for script, _, _ in imported()} >= {"models/demo/make_demo.py", "samples/make.py"}


@pytest.mark.parametrize(("script", "module", "name"), imported())
def test_scripts_ask_the_package_for_names_that_it_has(script: str, module: str, name: str) -> None:
    holder = importlib.import_module(module)
    if not hasattr(holder, name):
        importlib.import_module(f"{module}.{name}")
