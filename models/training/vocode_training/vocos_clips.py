"""vocode on the clips that Vocos' authors show, beside what they published of others: `python -m vocode_training.vocos_clips --pages DIR ...`.

DIR is `audio/mel` of the branch gh-pages of github.com/gemelo-ai/vocos: eight clips of LibriTTS (`gt`), and what BigVGAN, HiFi-GAN, iSTFTNet and
Vocos made of their mels, as MP3 at 128 kbit/s. vocode starts from the `vocos24k` mel of `gt` as it is published, which is coded once already; it is scored
as it comes, and coded as the others are. Nothing of these clips is trained or tuned on.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np
import soundfile
import soxr

from .evaluate import evaluate, load_clips, write_scores
from .mel import VOCOS24K
from .systems import Clip, run_binary

OTHERS = {"bigvgan": "BigVGAN", "hifigan": "HiFi-GAN", "istftnet": "iSTFTNet", "vocos": "Vocos"}
RATE = VOCOS24K.sample_rate
# Samples at 44,100 Hz by which the others' clips come later than `gt`, whose MP3 files say what the encoder put in front: the shift at which
# their spectra are most alike, the same for all within 20 samples.
LATE = 2032


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=Path, required=True, help="folder with gt, vocos and the others")
    parser.add_argument("--binary", type=Path, required=True, help="the vocode program")
    parser.add_argument("--model", type=Path, help="a bundle in place of the built-in vocos24k")
    parser.add_argument("--steps", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("vocos-clips"), help="folder for the audio and for scores.md")
    return parser.parse_args()


def decoded(path: Path, late: int = 0) -> np.ndarray:
    """An MP3 file at 24,000 Hz without its first `late` samples."""
    audio, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(audio[late:], rate, RATE, quality="VHQ")


def written(path: Path, audio: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, RATE, subtype="FLOAT")


def coded(source: Path, target: Path) -> None:
    """As the others are: MP3 at 44,100 Hz and 128 kbit/s, and back at 24,000."""
    target.parent.mkdir(parents=True, exist_ok=True)
    packed = target.with_suffix(".mp3")
    ffmpeg = ["ffmpeg", "-v", "error", "-y"]
    subprocess.run([*ffmpeg, "-i", str(source), "-ac", "1", "-ar", "44100", "-b:a", "128k", str(packed)], check=True)
    # ffmpeg writes how many samples the encoder put in front, and leaves them out where it reads.
    subprocess.run([*ffmpeg, "-i", str(packed), "-ac", "1", "-ar", str(RATE), "-c:a", "pcm_f32le", str(target)], check=True)
    packed.unlink()


def prepared(pages: Path, work: Path) -> tuple[list[Clip], dict[str, list[Path]]]:
    """The recordings, and a folder of aligned audio of each of the others."""
    for path in sorted((pages / "gt").glob("*.mp3")):
        recording = decoded(path)
        written(work / "recordings" / "clips" / f"{path.stem}.wav", recording)
        for system in OTHERS:
            audio = decoded(pages / system / path.name, LATE)[: len(recording)]
            written(work / system / f"clips__{path.stem}.wav", np.pad(audio, (0, len(recording) - len(audio))))
    return load_clips(work / "recordings", "train", 0, VOCOS24K), {name: [work / system] for system, name in OTHERS.items()}


def made(args: argparse.Namespace, clips: list[Clip]) -> dict[str, list[Path]]:
    """What vocode makes of the recordings' mels, as it is and coded."""
    mels, folders = {clip.name: clip.mel for clip in clips}, {}
    for steps in args.steps:
        plain = [args.work / f"vocode-{steps}-{seed}" for seed in range(args.seeds)]
        for seed, folder in enumerate(plain):
            run_binary(args.binary, args.model or Path("vocos24k"), ["--steps", str(steps), "--seed", str(seed)], mels, folder)
            for clip in clips:
                coded(folder / f"{clip.name}.wav", folder.with_name(f"{folder.name}-mp3") / f"{clip.name}.wav")
        folders[f"vocode, {steps} steps"] = plain
        folders[f"vocode, {steps} steps, coded"] = [folder.with_name(f"{folder.name}-mp3") for folder in plain]
    return folders


def main() -> None:
    args = arguments()
    clips, folders = prepared(args.pages, args.work)
    folders |= made(args, clips)
    results = evaluate(clips, folders, True, args.processes)
    print(write_scores(args.work, clips, results))


if __name__ == "__main__":
    main()
