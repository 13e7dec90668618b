"""A large file in parts and back: `python parts.py split WHEEL DIR`, `python parts.py join DIR OUT`.

For machines that take files only up to some size: the parts travel one by one, and joining checks them against the hash of the whole.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

SIZE = 48 << 20


def split(source: Path, folder: Path) -> list[Path]:
    """Write `source` as NAME.00, NAME.01, ... and NAME.sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    data, parts = source.read_bytes(), []
    for index, start in enumerate(range(0, max(len(data), 1), SIZE)):
        parts.append(folder / f"{source.name}.{index:02d}")
        parts[-1].write_bytes(data[start : start + SIZE])
    (folder / f"{source.name}.sha256").write_text(hashlib.sha256(data).hexdigest())
    return parts


def join(folder: Path, out: Path) -> Path:
    """The file whose parts lie in `folder`, written into the folder `out`."""
    sums = sorted(folder.glob("*.sha256"))
    if len(sums) != 1:
        raise SystemExit(f"{folder}: expected the parts of one file and its .sha256, found {len(sums)} of these")
    name = sums[0].name.removesuffix(".sha256")
    parts = sorted(folder.glob(f"{name}.[0-9][0-9]"))
    data = b"".join(part.read_bytes() for part in parts)
    if hashlib.sha256(data).hexdigest() != sums[0].read_text().strip():
        raise SystemExit(f"{folder}: the {len(parts)} parts of {name} do not make the file whose hash is given: is one missing?")
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(data)
    return out / name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["split", "join"])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    if args.what == "split":
        for part in split(args.source, args.out):
            print(part)
    else:
        print(join(args.source, args.out))


if __name__ == "__main__":
    main()
