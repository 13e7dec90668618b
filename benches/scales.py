"""How often `vocode inspect` tells the scale of a mel, and how often it is wrong about a right one.

    python benches/scales.py --binary target/release/vocode --speech SPEECH [--clips 240] [--out docs/scales.md]

SPEECH is a folder of recordings with a manifest.tsv (split, file, seconds), of which the `train` split is taken; any other folder of
recordings, such as one of music, is taken whole. Needs numpy, librosa, scipy and soundfile. Every mel is made here, by librosa, and given
to the program without a word on its convention.
"""

import argparse
import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import librosa
import numpy as np
import soundfile
from scipy.ndimage import gaussian_filter

RATE = 22_050
BANK = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
ESPNET = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=80, fmin=80, fmax=7600)


def recordings(folder: Path, most: int) -> list[Path]:
    manifest = folder / "manifest.tsv"
    if manifest.exists():
        rows = [line.split("\t") for line in manifest.read_text().splitlines()[1:]]
        files = [folder / row[1] for row in rows if row[0] == "train"]
    else:
        files = sorted(f for f in folder.rglob("*") if f.suffix in {".wav", ".flac"})
    return files[:: max(1, len(files) // most)][:most]


def load(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return librosa.resample(samples.mean(1), orig_sr=rate, target_sr=RATE)


def noisy(audio: np.ndarray, decibels: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
    return audio + noise * np.sqrt(np.mean(audio**2)) * 10 ** (-decibels / 20)


def room(audio: np.ndarray) -> np.ndarray:
    return np.float32(10**-3.5) * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)


def magnitudes(audio: np.ndarray) -> np.ndarray:
    return np.abs(librosa.stft(audio, n_fft=1024, hop_length=256, pad_mode="reflect"))


def ln(audio: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(BANK @ magnitudes(audio), 1e-5))


def unit(audio: np.ndarray) -> np.ndarray:
    """Decibels mapped to 0 to 1."""
    return np.clip((20 / np.log(10) * ln(audio) + 80) / 100, 0, 1)


def espnet(audio: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(ESPNET @ magnitudes(audio), 1e-10))


def least_to_greatest(audio: np.ndarray) -> np.ndarray:
    mel = ln(audio)
    return 2 * (mel - mel.min()) / (mel.max() - mel.min()) - 1


def normalised(audio: np.ndarray) -> np.ndarray:
    mel = ln(audio)
    return (mel - mel.mean()) / mel.std()


RIGHT = {
    "as it is": ln,
    "40 dB quieter": lambda a: ln(0.01 * a),
    "12 dB louder": lambda a: ln(4 * a),
    "12 dB louder, clipped at full scale": lambda a: ln(np.clip(4 * a, -1, 1)),
    "white noise 20 dB below the sound": lambda a: ln(noisy(a, 20)),
    "white noise as loud as the sound": lambda a: ln(noisy(a, 0)),
    "its first half second": lambda a: ln(a)[:, :43],
    "mel blurred over 1 frame and 1 band": lambda a: gaussian_filter(ln(a), 1),
    "mel blurred over 2 frames and 2 bands": lambda a: gaussian_filter(ln(a), 2),
    "white noise as loud as the sound, and the mel blurred over 1 frame and 1 band": lambda a: gaussian_filter(ln(noisy(a, 0)), 1),
}
WRONG = {
    "base 10, floor 1e-10, 80 to 7600 Hz": (espnet, "base 10"),
    "base 10, floor 1e-5": (lambda a: ln(a) / np.log(10), "base 10"),
    "decibels mapped to -4 to 4": (lambda a: 8 * unit(a) - 4, "-4 to 4"),
    "decibels mapped to -1 to 1": (lambda a: 2 * unit(a) - 1, "-1 to 1"),
    "least to greatest value mapped to -1 to 1": (least_to_greatest, "-1 to 1"),
    "decibels mapped to 0 to 1": (unit, "0 to 1"),
    "decibels": (lambda a: 20 / np.log(10) * ln(a), "decibels"),
    "z-normalised, numbers of LJSpeech": (lambda a: (ln(a) + 5.5366) / 2.1161, "z-normalised"),
    "z-normalised by its own mean and deviation": (normalised, "z-normalised"),
}
FLOORS = {
    "as it is": lambda a: a,
    "with room noise at -70 dBFS": lambda a: a + room(a),
    "20 dB quieter, with that noise": lambda a: 0.1 * a + room(a),
}


def remarks(binary: Path, mel: np.ndarray) -> tuple[bool, str]:
    """Whether the mel is taken without a remark on its scale, and all that was said."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mel.npy"
        np.save(path, mel.astype(np.float32))
        found = json.loads(subprocess.run([binary, "inspect", "--json", "--layout", "bands-first", path], capture_output=True, check=True).stdout)
    said = "\n".join(found["remarks"])
    spoken = not found["fits_model"] or any(words in said for words in ("taken as", "mapped to another range"))
    return spoken, said


def share(binary: Path, mels: list[np.ndarray], named: str = "") -> tuple[int, int]:
    """Of how many mels the scale was remarked on, and of how many the right one was named first."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda mel: remarks(binary, mel), mels))
    first = [said.split("Or it looks like")[0].split("; or ")[0] for _, said in found]
    return sum(spoken for spoken, _ in found), sum(bool(named) and named in words for words in first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument("--right-only", action="store_true", help="for what is no speech")
    parser.add_argument("--out", type=Path, help="where the tables go beside standard output")
    args = parser.parse_args()
    clips = [audio for audio in map(load, recordings(args.speech, args.clips)) if len(audio) > RATE // 2]
    lines = [f"{len(clips)} recordings.", "", "| right mels | remarked on, wrongly |", "|---|---:|"]
    for name, make in RIGHT.items():
        spoken, _ = share(args.binary, [make(clip) for clip in clips])
        lines.append(f"| {name} | {spoken} |")
        print(lines[-1], flush=True)
    if not args.right_only:
        lines += ["", "| mels of another scale, said to be `hifigan` | sound | remarked on or refused | right scale named first |", "|---|---|---:|---:|"]
        for name, (make, named) in WRONG.items():
            for sound, change in FLOORS.items():
                spoken, right = share(args.binary, [make(change(clip)) for clip in clips], named)
                lines.append(f"| {name} | {sound} | {spoken} | {right} |")
                print(lines[-1], flush=True)
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
