"""Mel conventions as tables of a bundle's manifest: vocode's presets by name, or a TOML file in the words of `--mel-convention`."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

Table = dict[str, Any]

HIFIGAN: Table = {
    "name": "hifigan",
    "sample_rate": 22_050,
    "n_fft": 1024,
    "win_length": 1024,
    "hop": 256,
    "n_mels": 80,
    "f_min": 0.0,
    "f_max": 8_000.0,
    "scale": "slaney",
    "norm": "slaney",
    "framing": "hop",
    "power": 1.0,
    "magnitude_epsilon": 1e-9,
    "gain": 1.0,
    "compression": {"kind": "ln", "floor": 1e-5},
}
TACOTRON2: Table = {**HIFIGAN, "name": "tacotron2", "framing": "center", "magnitude_epsilon": 0.0}
VOCOS24K: Table = {
    **TACOTRON2,
    "name": "vocos24k",
    "sample_rate": 24_000,
    "n_mels": 100,
    "f_max": 12_000.0,
    "scale": "htk",
    "norm": "none",
    "compression": {"kind": "ln", "floor": 1e-7},
}


def lmnt(sample_rate: int = 22_050, n_fft: int = 1024, hop: int = 256, n_mels: int = 80) -> Table:
    """lmnt-com/diffwave: window 4 hops, HTK bands from 20 Hz, 20 log10(max(x, 1e-5)) - 20 mapped from [-100, 0] dB to [0, 1].

    torchaudio's `normalized=True` divides by the root of the window's energy, 3/8 of its length for a periodic Hann window.
    """
    window, usual = 4 * hop, (sample_rate, n_fft, hop, n_mels) == (22_050, 1024, 256, 80)
    return {
        **TACOTRON2,
        "name": "lmnt" if usual else f"lmnt-{sample_rate}-{n_fft}-{hop}-{n_mels}",
        "sample_rate": sample_rate,
        "n_fft": n_fft,
        "win_length": window,
        "hop": hop,
        "n_mels": n_mels,
        "f_min": 20.0,
        "f_max": sample_rate / 2,
        "scale": "htk",
        "norm": "none",
        "gain": 1.0 / math.sqrt(0.375 * window),
        "compression": {"kind": "db", "floor": 1e-5, "scale": 0.01, "offset": 0.8, "clip": [0.0, 1.0]},
    }


PRESETS: dict[str, Table] = {"hifigan": HIFIGAN, "tacotron2": TACOTRON2, "lmnt": lmnt(), "vocos24k": VOCOS24K}


def named(word: str) -> Table:
    """A preset by name, or a TOML file: every field, or `base = "PRESET"` and the fields that differ."""
    if word in PRESETS:
        return PRESETS[word]
    path = Path(word)
    if not path.is_file():
        raise ValueError(f"{word!r} is neither a convention ({', '.join(PRESETS)}) nor a TOML file")
    try:
        table = tomllib.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: {error}") from error
    base = table.pop("base", None)
    if base is None:
        return table
    if base not in PRESETS:
        raise ValueError(f"{path}: base = {base!r} is not one of {', '.join(PRESETS)}")
    compression = {**PRESETS[base]["compression"], **table.pop("compression", {})}
    return {**PRESETS[base], **table, "compression": compression}


def floor_value(table: Table) -> float:
    """The mel value of silence."""
    c = table["compression"]
    log = {"ln": math.log, "log10": math.log10, "db": lambda x: 20.0 / table.get("power", 1.0) * math.log10(x)}[c["kind"]]
    value = c.get("scale", 1.0) * log(c["floor"]) + c.get("offset", 0.0)
    low, high = c.get("clip", (-math.inf, math.inf))
    return (min(max(value, low), high) - c.get("mean", 0.0)) / c.get("std", 1.0)


def toml(value: Any) -> str:
    """A value of a manifest. JSON's escapes of text are a subset of TOML's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def lines(table: Table) -> str:
    """The lines of a convention: a file of its own, or what follows `[mel]` in a manifest."""
    return "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
