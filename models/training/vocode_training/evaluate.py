"""Score systems on held-out clips: `python -m vocode_training.evaluate --data SPEECH --binary vocode --bundle DIR --steps 4 6`.

The recording itself and Griffin-Lim (32 iterations) on the same mels stand beside what is asked for. All systems start from
the mel of the recording in `--convention`, cut to whole frames. Results are means over clips, for each speaker and in all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, fields, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
import torch

from . import voice
from .data import clip_paths, read_clip
from .mel import HIFIGAN, Convention, add_option
from .metrics import Scores, score
from .systems import Clip, Synthesiser, checkpoint_synthesiser, griffin_lim, read_wav, run_binary

# Heading and digits of each score, in the order of `Scores`.
COLUMNS = (
    *(("PESQ-wb", 2), ("STOI", 3), ("ESTOI", 3), ("MR-STFT", 2), ("log-mel L1", 3), ("DNSMOS", 2), ("SIG", 2), ("BAK", 2), ("DistillMOS", 2)),
    *((f"kurtosis {low / 1000:g}-{high / 1000:g} kHz", 1) for low, high in voice.PULSE_BANDS),
    *(("periodicity RMSE", 3), ("V/UV F1", 3), ("pitch RMSE, cents", 0), ("level above 8 kHz, dB", 1)),
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.tsv")
    parser.add_argument("--split", default="valid")
    add_option(parser)
    parser.add_argument("--limit", type=int, default=0, help="only so many clips of each speaker, spread over the list")
    parser.add_argument("--binary", type=Path, help="the vocode program")
    parser.add_argument("--bundle", type=Path, help="bundle for --binary; its built-in model where none is given")
    parser.add_argument("--steps", type=int, nargs="*", default=[], help="steps for --binary and --checkpoint; none: the bundle's default schedule")
    parser.add_argument("--precision", nargs="*", default=[], help="what --binary multiplies in: float and int8 side by side")
    parser.add_argument("--seeds", type=int, default=2, help="so many syntheses of each clip, their scores averaged; for --binary and --checkpoint")
    parser.add_argument("--checkpoint", type=Path, help="a training checkpoint, sampled in Python")
    parser.add_argument("--passes", type=int, default=2, help="passes of mel consistency for --checkpoint")
    parser.add_argument("--momentum", type=float, default=0.0, help="of these passes")
    parser.add_argument("--wavs", action="append", default=[], metavar="NAME=DIR", help="audio made elsewhere, DIR/SPEAKER__CLIP.wav")
    parser.add_argument("--level", type=float, default=0.0, help="dB by which the recordings are made louder, before all else")
    parser.add_argument("--snr", type=float, help="dB of the recordings over white noise that is added to them")
    parser.add_argument("--no-baselines", action="store_true", help="leave out the recording and Griffin-Lim")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("evaluation"), help="folder for the audio made and for scores.md and scores.json")
    return parser.parse_args()


def load_clips(data: Path, split: str, limit: int, convention: Convention = HIFIGAN) -> list[Clip]:
    """The clips of a split; the speaker is the file's folder."""
    paths = clip_paths(data, split)
    if limit:
        speakers: dict[str, list[Path]] = {}
        for path in paths:
            speakers.setdefault(path.parent.name, []).append(path)
        paths = [p for group in speakers.values() for p in group[:: max(1, -(-len(group) // limit))]]
    clips = []
    for path in paths:
        audio = convention.whole(read_clip(path, convention.sample_rate))
        clips.append(Clip(f"{path.parent.name}__{path.stem}", path.parent.name, audio, convention))
    if not clips:
        raise SystemExit(f"no '{split}' clips in {data}: is there a manifest.tsv?")
    return clips


def altered(clip: Clip, level: float, snr: float | None) -> Clip:
    """A clip at another level, with noise on it: what is made of it is held against it as it is then."""
    audio = clip.audio * np.float32(10 ** (level / 20))
    if snr is not None:
        noise = np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
        audio = audio + noise * np.float32(np.sqrt(np.square(audio).mean()) * 10 ** (-snr / 20))
    return replace(clip, audio=audio)


def write_wavs(folder: Path, clips: Iterable[Clip], synthesise: Synthesiser) -> None:
    """Audio of one in-process system as float WAV."""
    folder.mkdir(parents=True, exist_ok=True)
    for clip in clips:
        soundfile.write(folder / f"{clip.name}.wav", synthesise(clip.mel), clip.convention.sample_rate, subtype="FLOAT")


def make_systems(args: argparse.Namespace, clips: list[Clip]) -> dict[str, list[Path]]:
    """The audio of every system that was asked for, as folders, one a seed."""
    folders = {name: [Path(folder)] for name, folder in (item.split("=", 1) for item in args.wavs)}
    mels = {clip.name: clip.mel for clip in clips}
    if args.binary:
        for steps, precision in product(args.steps or [0], args.precision or [""]):
            name = ", ".join(["vocode", *([f"{steps} step{'s' * (steps > 1)}"] if steps else []), *([precision] if precision else [])])
            folders[name] = [args.work / f"vocode-{steps}-{precision or 'auto'}-{seed}" for seed in range(args.seeds)]
            for seed, folder in enumerate(folders[name]):
                folder.mkdir(parents=True, exist_ok=True)
                words = ["--seed", str(seed), *(["--steps", str(steps)] if steps else []), *(["--precision", precision] if precision else [])]
                run_binary(args.binary, args.bundle, words, mels, folder)
    if args.checkpoint:
        for steps in args.steps or [4]:
            name = f"{args.checkpoint.stem}, {steps} steps"
            folders[name] = [args.work / f"checkpoint-{steps}-{seed}" for seed in range(args.seeds)]
            for seed, folder in enumerate(folders[name]):
                write_wavs(folder, clips, checkpoint_synthesiser(args.checkpoint, steps, args.passes, args.momentum, seed))
    return folders


def score_clip(job: tuple[Clip, dict[str, list[Path]], bool]) -> dict[str, Scores]:
    """All systems on one clip, the mean over their seeds, in a worker process."""
    clip, folders, baselines = job
    torch.set_num_threads(1)
    audio = {name: [read_wav(folder, clip) for folder in seeds] for name, seeds in folders.items()}
    if baselines:
        audio = {"recording": [clip.audio], "Griffin-Lim, 32 iterations": [griffin_lim(clip.mel, convention=clip.convention)[: len(clip.audio)]], **audio}
    return {name: Scores.mean([score(estimate, clip.audio, clip.convention) for estimate in made]) for name, made in audio.items()}


def evaluate(clips: list[Clip], folders: dict[str, list[Path]], baselines: bool, processes: int) -> list[dict[str, Scores]]:
    """Scores of every system, a dictionary a clip."""
    jobs = [(clip, folders, baselines) for clip in clips]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(score_clip, jobs))


def summarise(clips: list[Clip], results: list[dict[str, Scores]]) -> dict[str, dict[str, Scores]]:
    """`{"all" or speaker: {system: mean scores}}`."""
    groups = {"all": range(len(clips))}
    for speaker in sorted({c.speaker for c in clips}):
        groups[speaker] = [i for i, c in enumerate(clips) if c.speaker == speaker]
    return {
        group: {system: Scores.mean([results[i][system] for i in members]) for system in results[0]}
        for group, members in groups.items()
    }


def markdown(clips: list[Clip], summary: dict[str, dict[str, Scores]]) -> str:
    """One table: systems within speakers."""
    lines = ["| clips | system | " + " | ".join(name for name, _ in COLUMNS) + " |", "|---|---|" + "---:|" * len(COLUMNS)]
    for group, systems in summary.items():
        count = sum(group in ("all", c.speaker) for c in clips)
        for system, scores in systems.items():
            values = [f"{getattr(scores, f.name):.{digits}f}" for f, (_, digits) in zip(fields(scores), COLUMNS, strict=True)]
            lines.append(f"| {group} ({count}) | {system} | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def spread(results: list[dict[str, Scores]]) -> str:
    """What a mean hides: the spread over clips of the level above 8 kHz."""
    systems = [name for name in results[0] if name != "recording"]
    found = {name: float(np.std([r[name].high_band for r in results])) for name in systems}
    return "Spread over clips of the level above 8 kHz: " + ", ".join(f"{name} {value:.1f} dB" for name, value in found.items()) + ".\n"


def run(args: argparse.Namespace) -> None:
    clips = [altered(clip, args.level, args.snr) for clip in load_clips(args.data, args.split, args.limit, args.convention)]
    folders = make_systems(args, clips)
    results = evaluate(clips, folders, not args.no_baselines, args.processes)
    print(write_scores(args.work, clips, results))


def write_scores(work: Path, clips: list[Clip], results: list[dict[str, Scores]]) -> str:
    """`scores.md` and `scores.json` in `work`; the former is returned."""
    summary = summarise(clips, results)
    work.mkdir(parents=True, exist_ok=True)
    table = markdown(clips, summary) + "\n" + spread(results)
    (work / "scores.md").write_text(table)
    document = {
        "seconds": float(sum(len(c.audio) / c.convention.sample_rate for c in clips)),
        "summary": {g: {s: asdict(v) for s, v in systems.items()} for g, systems in summary.items()},
        "clips": {c.name: {s: asdict(v) for s, v in r.items()} for c, r in zip(clips, results, strict=True)},
    }
    (work / "scores.json").write_text(json.dumps(document, indent=1) + "\n")
    return table


if __name__ == "__main__":
    run(arguments())
