"""What `vocode --approximate-mel` loses: PESQ-wb and DistillMOS of mels of other conventions against those of the right mel.

`python -m vocode_training.approximate --data SPEECH --binary vocode --converter approximate_mel --out tables.md` writes the table of
docs/approximate-mels.md. SPEECH is a folder with manifest.tsv; of its split the first clip of each of 24 speakers is taken, cut to 8 s. The mels
are made by `vocode mel`, and converted by the example program `approximate_mel`, which refuses nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from .data import clip_paths, read_clip
from .mel import HIFIGAN, VOCOS24K, Convention
from .metrics import distillmos, pesq_wb

CLIPS = 24
# Seconds.
LONGEST, SHORTEST = 8, 3
# What the built-in models take, and their names.
MODELS = {"hifigan": (HIFIGAN, "default"), "vocos24k": (VOCOS24K, "vocos24k")}
# All that do not convert exactly to the default model's; `parallelwavegan` has the bands and frames of `espnet`.
NAMED = ("lmnt", "vocos24k", "rayhane", "coqui", "espnet", "bigvgan22k", "bigvgan24k", "f5tts", "speecht5", "cosyvoice2")


# Conventions without a name, as TOML: powers, and hops of 10 to 12.5 ms with the windows that go with them.
UNNAMED = {
    "powers": 'base = "hifigan"\npower = 2.0\ncompression = { kind = "ln", floor = 1e-10 }\n',
    "powers-htk": 'base = "tacotron2"\nscale = "htk"\nnorm = "none"\npower = 2.0\ncompression = { kind = "ln", floor = 1e-10 }\n',
    "hop-275": 'base = "tacotron2"\nn_fft = 2048\nhop = 275\nwin_length = 1100\n',
    "hop-300-at-24k": 'base = "espnet"\nsample_rate = 24000\nn_fft = 2048\nhop = 300\nwin_length = 1200\n',
    "hop-200-at-16k": 'base = "espnet"\nsample_rate = 16000\nn_fft = 1024\nhop = 200\nwin_length = 800\n',
    "hop-220": 'base = "tacotron2"\nhop = 220\nwin_length = 880\n',
}


class Clip(NamedTuple):
    """A recording at the model's rate."""

    name: str
    audio: np.ndarray


class Score(NamedTuple):
    pesq: float
    distillmos: float


def load(data: Path, split: str, convention: Convention) -> list[Clip]:
    """The first long enough clip of each speaker, of CLIPS speakers spread over the list."""
    clips: dict[str, Clip] = {}
    for path in clip_paths(data, split):
        speaker = path.parent.name
        if speaker in clips or speaker.startswith("singing"):
            continue
        rate = convention.sample_rate
        audio = read_clip(path, rate)
        if len(audio) >= SHORTEST * rate:
            clips[speaker] = Clip(f"{len(clips):02}", convention.whole(audio[: LONGEST * rate]))
    found = list(clips.values())
    if len(found) < CLIPS:
        raise SystemExit(f"{data} has {len(found)} speakers in '{split}', expected at least {CLIPS}")
    return [found[i * len(found) // CLIPS] for i in range(CLIPS)]


def run(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


class Maker:
    """The programs, and a folder for what they make."""

    def __init__(self, args: argparse.Namespace, clips: list[Clip], folder: Path) -> None:
        self.args, self.clips, self.folder = args, clips, folder
        self.convention, self.model = MODELS[args.to]
        (folder / "wav").mkdir()
        for clip in clips:
            soundfile.write(folder / "wav" / f"{clip.name}.wav", clip.audio, self.convention.sample_rate, subtype="FLOAT")

    def audio(self, convention: str) -> list[np.ndarray]:
        """The audio of all clips by way of their mels in one convention; as long as the clips."""
        mels, ready, out = (self.folder / kind / convention for kind in ("mels", "ready", "audio"))
        if convention in UNNAMED:
            file = self.folder / f"{convention}.toml"
            file.write_text(f'name = "{convention}"\n{UNNAMED[convention]}')
            convention = str(file)
        run(self.args.binary, "mel", self.folder / "wav", "-o", f"{mels}/", "--mel-convention", convention, "--quiet")
        shift = 0
        if convention == self.args.to:
            ready = mels
        else:
            shift = int(run(self.args.converter, convention, self.args.to, mels, ready))
        run(self.args.binary, ready, "-o", f"{out}/", "--model", self.model, "--format", "f32", "--seed", 0, "--quiet")
        return [self.placed(out / f"{clip.name}.wav", shift, len(clip.audio)) for clip in self.clips]

    @staticmethod
    def placed(path: Path, shift: int, length: int) -> np.ndarray:
        audio = soundfile.read(path, dtype="float32")[0]
        audio = np.pad(audio[max(0, shift) :], (max(0, -shift), 0))
        return np.pad(audio, (0, max(0, length - len(audio))))[:length]


def score(job: tuple[np.ndarray, np.ndarray, int]) -> Score:
    made, recording, rate = job
    torch.set_num_threads(1)
    return Score(pesq_wb(made, recording, rate), distillmos(made, rate))


def row(name: str, scores: np.ndarray, right: np.ndarray) -> str:
    """`scores` and `right` of shape [clips, 2]: PESQ-wb and DistillMOS."""
    lost = right - scores
    worst = lost[:, 0].max()
    return f"| {name} | {scores[:, 0].mean():.2f} | {lost[:, 0].mean():+.2f} | {worst:+.2f} | {scores[:, 1].mean():.2f} | {lost[:, 1].mean():+.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.tsv")
    parser.add_argument("--split", default="heldout")
    parser.add_argument("--binary", type=Path, required=True, help="the vocode program")
    parser.add_argument("--converter", type=Path, required=True, help="the example program approximate_mel")
    parser.add_argument("--to", choices=MODELS, default="hifigan", help="the convention of the model that the mels are for")
    parser.add_argument("--only", nargs="+", choices=[*NAMED, *UNNAMED], help="these conventions alone")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="file for the tables, beside standard output")
    args = parser.parse_args()
    convention, _ = MODELS[args.to]
    clips = load(args.data, args.split, convention)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
        maker = Maker(args, clips, Path(folder))

        def scores(name: str) -> np.ndarray:
            jobs = [(made, clip.audio, convention.sample_rate) for made, clip in zip(maker.audio(name), clips, strict=True)]
            return np.array(list(pool.map(score, jobs)))

        right = scores(args.to)
        say(f"{CLIPS} clips of as many speakers, {sum(len(clip.audio) for clip in clips) / convention.sample_rate:.0f} s.")
        say("")
        say("| mel | PESQ-wb | lost | by the clip that lost most | DistillMOS | lost |")
        say("|---|---:|---:|---:|---:|---:|")
        say(row(f"`{args.to}`, the right one", right, right))
        for name in args.only or (*NAMED, *UNNAMED):
            say(row(f"`{name}`", scores(name), right))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
