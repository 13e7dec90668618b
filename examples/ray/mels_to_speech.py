#!/usr/bin/env python3
"""Mels to speech on a Ray cluster: a folder of .npy files, or a Parquet or JSONL list of them, through a pool of vocoders.

    python3 mels_to_speech.py mels/ speech/ [--workers 2] [--threads 1] [--steps 4] [--seed 0]
    python3 mels_to_speech.py list.jsonl speech/        # lines of {"input": "a.npy", "output": "a.wav"}

Needs `pip install ./python -r examples/ray/requirements.txt`. Each worker holds one model for as long as it lives. What is in the output
folder already is not made again, and a file has its name only once it is whole: a run that was killed is started again as it was.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import ray
import soundfile
import vocode_onnx


class Speech:
    """One vocoder, in the process of one worker."""

    def __init__(self, out, threads, steps, seed):
        self.out, self.steps, self.seed = Path(out), steps, seed
        self.vocoder = vocode_onnx.Vocoder(threads=threads)

    def __call__(self, row):
        mel = np.load(row["input"])
        audio = self.vocoder.decode(mel, steps=self.steps, seed=self.seed)
        target = self.out / row["output"]
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}.part")
        soundfile.write(part, audio, self.vocoder.sample_rate, format="WAV", subtype="PCM_16")
        part.rename(target)
        return {"output": row["output"], "seconds": len(audio) / self.vocoder.sample_rate}


def listed(source):
    """What is to be made, as a list of rows with `input` and `output`."""
    if source.is_dir():
        mels = sorted(source.rglob("*.npy"))
        return [{"input": str(mel), "output": str(mel.relative_to(source).with_suffix(".wav"))} for mel in mels]
    read = ray.data.read_parquet if source.suffix == ".parquet" else ray.data.read_json
    rows = read(str(source)).take_all()
    return [{"input": r["input"], "output": r.get("output") or Path(r["input"]).with_suffix(".wav").name} for r in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    rows = listed(a.source)
    left = [row for row in rows if not (a.out / row["output"]).is_file()]
    print(f"{len(rows)} mels, {len(rows) - len(left)} there already")
    if not left:
        return
    made = ray.data.from_items(left, override_num_blocks=min(len(left), 8 * a.workers)).map(
        Speech,
        fn_constructor_args=(str(a.out.resolve()), a.threads, a.steps, a.seed),
        concurrency=a.workers,
        num_cpus=a.threads,
    )
    count, seconds = 0, 0.0
    for row in made.iter_rows():
        count, seconds = count + 1, seconds + row["seconds"]
    print(f"{count} files, {seconds:.1f} s of audio")


if __name__ == "__main__":
    main()
