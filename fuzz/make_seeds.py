#!/usr/bin/env python3
"""Writes the seeds that the fuzz targets start from: small valid inputs of every kind.

    python fuzz/make_seeds.py

Needs numpy. The same script gives the same bytes.
"""

from pathlib import Path

import numpy as np

SEEDS = Path(__file__).resolve().parent / "seeds"

CONVENTION = """\
name = "seed"
sample_rate = 22050
n_fft = 64
win_length = 32
hop = 16
n_mels = 3
f_min = 0.0
f_max = 8000.0
scale = "slaney"
norm = "slaney"
framing = "hop"
compression = { kind = "ln", floor = 1e-5 }
"""

MANIFEST = """\
format = 1
name = "seed"
version = "1"
licence = "MIT"
description = "seed"
training_data = "none"
[mel]
{mel}[diffusion]
{diffusion}
[schedules]
default = "a"
[schedules.named]
{schedules}
[context]
denoiser = 2
conditioner = 2
{envelope}[sha256]
conditioner = "{hash}"
denoiser = "{hash}"
"""

FLOW = {
    "diffusion": 'process = "flow"\nprediction = "sample"\ndomain = "excitation"',
    "schedules": "a = { times = [0.0, 0.5] }\nb = { steps = 3 }",
    "envelope": "[envelope]\nfft = 64\nwindow = 32\nlifter = 8\nsmooth = 3\nlog_equaliser = [" + "0," * 33 + "]\n",
}

DDPM = {
    "diffusion": 'process = "ddpm"\nprediction = "epsilon"\ndomain = "waveform"\nclamp = [-1.0, 1.0]\n'
    "betas = { start = 1e-4, end = 0.05, steps = 4 }",
    "schedules": "a = { betas = [1e-3, 0.05] }\nb = { full = true }",
    "envelope": "",
}

LISTED = DDPM | {
    "diffusion": 'process = "ddpm"\nprediction = "velocity"\ndomain = "waveform"\nbetas = [0.1, 0.2]',
    "schedules": "a = { betas = [0.15, 0.1] }",
}

CONVENTIONS = {
    "whole": CONVENTION,
    "htk": CONVENTION.replace('scale = "slaney"', 'scale = "htk"').replace('norm = "slaney"', 'norm = "none"')
    + "power = 2.0\nmagnitude_epsilon = 1e-9\ngain = 0.5\n",
    "affine": 'base = "lmnt"\n[compression]\nkind = "db"\nscale = 0.01\noffset = 0.8\nclip = [0, 1]\nmean = 0.1\nstd = 2',
    "base": 'base = "tacotron2"\nname = "x"\nframing = "center"\ncompression.kind = "log10"\ncompression.floor_mode = "add"',
}


def npy() -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    arrays = {f"{kind}": values.astype(kind) for kind in ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<i4")}
    arrays |= {
        "fortran": np.asfortranarray(values),
        "frames_first": values.T,
        "one_ahead": values[None],
        "batch": np.stack([values, values]),
        "waveform": values[0],
        "nan": values * np.nan,
        "bands_80": np.zeros((80, 1), np.float32),
    }
    for name, array in arrays.items():
        name = name.replace("<", "little_").replace(">", "big_")
        np.save(folder("npy") / f"{name}.npy", array)
    with (folder("npy") / "version_2.npy").open("wb") as file:
        np.lib.format.write_array(file, values, version=(2, 0))


def toml() -> None:
    for name, parts in {"flow": FLOW, "ddpm": DDPM, "listed": LISTED}.items():
        text = MANIFEST.format(mel=CONVENTION, hash="0" * 64, **parts)
        (folder("manifest") / f"{name}.toml").write_text(text)
    (folder("manifest") / "schedule.toml").write_text("times = [0.0, 0.5]\n")
    for name, text in CONVENTIONS.items():
        (folder("convention") / f"{name}.toml").write_text(text)


def folder(target: str) -> Path:
    path = SEEDS / target
    path.mkdir(parents=True, exist_ok=True)
    return path


if __name__ == "__main__":
    npy()
    toml()
