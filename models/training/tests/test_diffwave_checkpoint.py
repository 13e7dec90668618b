"""Published checkpoints: both networks as they were trained, and refusals of whatever else a file may hold."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import published
import pytest
import torch
from torch import Tensor

from vocode_training.diffwave import checkpoint
from vocode_training.diffwave.layouts import CheckpointError
from vocode_training.diffwave.network import DiffWave, StepTable, StepWaves

LAYOUTS = ("lmnt", "philsyn")
CYCLE, STEPS = 3, 50
BETAS = torch.linspace(1e-4, 0.05, STEPS, dtype=torch.float64).tolist()
STATES = {"lmnt": published.lmnt_state(16, 7), "philsyn": published.philsyn_state(16, 7)}


def contents(layout: str) -> dict:
    state = dict(STATES[layout])
    return published.lmnt_checkpoint(state, CYCLE) if layout == "lmnt" else published.philsyn_checkpoint(state)


def network(layout: str) -> DiffWave:
    source = checkpoint.identify(contents(layout))
    return source.network(source.settings(CYCLE, BETAS))


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 6 * 256, generator=generator), torch.rand(2, 80, 6, generator=generator), torch.tensor([42.918643, 7.0])


def as_published(layout: str) -> Tensor:
    x, mel, t = inputs()
    return published.lmnt_noise(STATES[layout], x, mel, t, CYCLE, STEPS) if layout == "lmnt" else published.philsyn_noise(STATES[layout], x, mel, t, CYCLE)


def difference(layout: str, found: DiffWave) -> float:
    x, mel, t = inputs()
    return float((found.denoiser(x, t, found.conditioner(mel)) - as_published(layout)).abs().max())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_network_is_the_published_one(layout: str) -> None:
    assert difference(layout, network(layout)) < 1e-5


def swapped_gates(found: DiffWave) -> DiffWave:
    """With the tanh half where the sigmoid half belongs."""

    def swap(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return type(pair)(*(torch.cat(part.chunk(2)[::-1]) for part in pair))

    return replace(found, layers=[replace(layer, taps=swap(layer.taps), cond=swap(layer.cond)) for layer in found.layers])


CHANGES = {
    "in-place step": lambda n: replace(n, step_stays=not n.step_stays),
    "gate halves": swapped_gates,
    "embedding": lambda n: replace(n, steps=StepWaves.new() if isinstance(n.steps, StepTable) else StepTable.of(STEPS)),
    "one upsampler": lambda n: replace(n, upsamplers=n.upsamplers[1:] + n.upsamplers[:1]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("change", CHANGES)
def test_no_difference_between_the_layouts_is_too_small_to_be_seen(layout: str, change: str) -> None:
    if change == "one upsampler" and layout == "lmnt":
        pytest.skip("lmnt has one")
    assert difference(layout, CHANGES[change](network(layout))) > 1e-2


def test_lmnt_settings_come_from_the_file_and_flags_beat_them() -> None:
    source = checkpoint.identify(contents("lmnt"))
    assert source.settings(None, None) == checkpoint.Settings(CYCLE, BETAS)
    assert source.settings(5, [0.1, 0.2]) == checkpoint.Settings(5, [0.1, 0.2])
    assert source.step == 1_000_578


@pytest.mark.parametrize(
    ("cycle", "betas", "flag"),
    [(None, BETAS, "--dilation-cycle"), (10, None, "--betas"), (0, BETAS, "--dilation-cycle"), (10, [2.0], "--betas")],
)
def test_what_the_tensors_do_not_tell_is_asked_for_by_flag(cycle: int | None, betas: list[float] | None, flag: str) -> None:
    with pytest.raises(CheckpointError, match=flag):
        checkpoint.identify(contents("philsyn")).settings(cycle, betas)


SPOILT = {
    "lmnt": [
        ("residual_layers.3.dilated_conv.weight", None, r"missing key residual_layers\.3\.dilated_conv\.weight, expected shape \[32, 16, 3\]"),
        ("residual_layers.3.dilated_conv.weight", torch.zeros(32, 16, 5), r"dilated_conv\.weight: expected shape \[32, 16, 3\], found \[32, 16, 5\]"),
        ("input_projection.weight", torch.zeros(16), r"input_projection\.weight: expected 3 axes, none of them empty, found shape \[16\]"),
        ("spectrogram_upsampler.conv1.weight", torch.zeros(1, 1, 3, 30), r"conv1\.weight: expected a width of twice an even stride, found 30"),
        ("skip_projection.bias", torch.full((16,), float("nan")), r"skip_projection\.bias: expected finite numbers"),
        ("speaker_embedding.weight", torch.zeros(4, 4), r"unexpected key speaker_embedding\.weight"),
        ("residual_layers.999999.dilated_conv.bias", torch.zeros(32), r"missing key residual_layers\.7\."),
    ],
    "philsyn": [
        ("residual_layer.residual_blocks.2.res_conv.weight_g", None, r"missing key .*\.residual_blocks\.2\.res_conv\.weight_g, expected shape \[16, 1, 1\]"),
        ("final_conv.2.conv.weight", torch.zeros(2, 16, 1), r"final_conv\.2\.conv\.weight: expected shape \[1, 16, 1\], found \[2, 16, 1\]"),
        ("final_conv.0.conv.weight_v", torch.zeros(16, 16, 1), r"final_conv\.0\.conv\.weight_v: expected rows that are not all zero"),
    ],
}


@pytest.mark.parametrize(("layout", "key", "value", "message"), [(layout, *case) for layout, cases in SPOILT.items() for case in cases])
def test_a_spoilt_state_is_refused_with_key_expected_and_found(layout: str, key: str, value: Tensor | None, message: str) -> None:
    spoilt = contents(layout)
    state = spoilt["model" if layout == "lmnt" else "model_state_dict"]
    if value is None:
        del state[key]
    else:
        state[key] = value
    source = checkpoint.identify(spoilt)
    with pytest.raises(CheckpointError, match=message):
        source.network(source.settings(CYCLE, BETAS))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_unconditional_model_is_refused(layout: str) -> None:
    payload = contents(layout)
    name = "model" if layout == "lmnt" else "model_state_dict"
    payload[name] = {k: v for k, v in payload[name].items() if not any(part in k for part in ("upsampl", "conditioner_projection", "mel_conv"))}
    with pytest.raises(CheckpointError, match="an unconditional model: .* follows no mel"):
        checkpoint.identify(payload)


@pytest.mark.parametrize(
    ("payload", "found"),
    [([1], "found a list"), ({}, "found nothing"), ({"generator": {}, "step": 3}, "found generator, step"), ({"model": torch.zeros(1)}, "found model")],
)
def test_another_layout_is_refused_with_what_was_found(payload: object, found: str) -> None:
    with pytest.raises(CheckpointError, match=found):
        checkpoint.identify(payload)


class Code:
    """What a hostile file holds: unpickled carelessly, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def save_zipped(payload: object, path: Path) -> None:
    torch.save(payload, path)


def save_legacy(payload: object, path: Path) -> None:
    torch.save(payload, path, _use_new_zipfile_serialization=False)


def save_plain(payload: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(payload))


@pytest.mark.parametrize("save", [save_zipped, save_legacy, save_plain])
def test_a_file_with_code_in_it_is_refused_and_nothing_runs(save: object, tmp_path: Path) -> None:
    payload = {**contents("lmnt"), "scaler": Code(tmp_path / "made")}
    save(payload, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=r"refused: .*only weights are loaded\. Nothing in it was run"):
        checkpoint.load(tmp_path / "weights.pt")
    assert not (tmp_path / "made").exists()


def test_the_refusal_names_what_the_code_asks_for(tmp_path: Path) -> None:
    save_zipped({"model": Code(tmp_path / "made")}, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=r"it asks for posix\.mkdir"):
        checkpoint.load(tmp_path / "weights.pt")


@pytest.mark.parametrize("save", [save_zipped, save_legacy])
def test_both_ways_in_which_torch_saves_are_read(save: object, tmp_path: Path) -> None:
    save(contents("lmnt"), tmp_path / "weights.pt")
    found = checkpoint.load(tmp_path / "weights.pt")
    assert found.layout == "lmnt" and torch.equal(found.state["skip_projection.bias"], STATES["lmnt"]["skip_projection.bias"])


@pytest.mark.parametrize(("data", "message"), [(b"", "cannot be read"), (b"\x00" * 100, "refused|cannot be read"), (b"PK\x03\x04broken", "cannot be read")])
def test_a_damaged_file_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(data)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(tmp_path / "weights.pt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        checkpoint.load(tmp_path / "weights.pt")
