"""The figures of the robustness page, and what must hold of the program whatever the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from vocode_training.mel import HIFIGAN
from vocode_training.robustness import WRONG, Program, dbfs, hop_buzz, rms, white
from vocode_training.systems import Clip

# What nothing in the values tells: the bands and the frames are of the right number and spread.
INVISIBLE = {"`tacotron2`, half a hop late", "bands up to 11,025 Hz", "HTK mel scale", "24,000 Hz, hop 300"}
# And what is read as it should be.
RIGHT = {"[frames, bands], which is told from the shape"}


def test_a_pulse_at_the_frames_rate_is_heard() -> None:
    noise = white(20 * HIFIGAN.sample_rate)
    t = np.arange(len(noise)) / HIFIGAN.sample_rate
    assert abs(hop_buzz(noise)) < 3.0
    assert hop_buzz(noise * (1 + 0.3 * np.sin(2 * np.pi * t * HIFIGAN.sample_rate / 256))) > 10.0


def test_levels_are_of_full_scale() -> None:
    assert dbfs(0.1) == "-20.0 dBFS" and dbfs(0.0) == "digital zero"


def test_silence_comes_out_silent(vocode: Path, tmp_path: Path) -> None:
    outcome = Program(vocode, None, tmp_path).run(np.full((HIFIGAN.n_mels, 60), HIFIGAN.log_floor, np.float32))
    assert outcome.code == 0 and len(outcome.audio) == 60 * 256
    assert rms(outcome.audio) < 3e-5
    assert outcome.mebibytes > 1.0


def test_a_wrong_mel_is_refused_or_warned_of_where_its_values_tell(vocode: Path, speech: torch.Tensor, tmp_path: Path) -> None:
    program = Program(vocode, None, tmp_path)
    clip = Clip("demo", "joe", speech[0].numpy())
    for wrong in WRONG:
        outcome = program.run(wrong.change(program.mel(clip, wrong.convention)))
        spoke = outcome.code != 0 or "warning" in outcome.message
        assert spoke != (wrong.name in INVISIBLE | RIGHT), (wrong.name, outcome.message)
