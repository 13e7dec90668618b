"""The exported graphs against PyTorch, and the promises of the bundle's manifest."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import random_model

from vocode_training import checkpoint, envelope, export, onnx_model, reference
from vocode_training.mel import HIFIGAN, VOCOS24K, Convention
from vocode_training.network import Config, Model

CONFIGS = [Config(), Config(fold=32, channels=24, layers=5, cycle=3, cond_channels=48, cond_blocks=1, step_channels=32)]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("convention", [HIFIGAN, VOCOS24K], ids=lambda c: c.name)
@pytest.mark.parametrize("frames", [1, 24])
def test_graphs_agree_on_random_input(config: Config, convention: Convention, frames: int) -> None:
    model = random_model(config, convention)
    graphs = [g.SerializeToString() for g in onnx_model.graphs(model)]
    assert export.parity(model, *graphs, *export.random_input(model, frames)) < 1e-4


def test_graphs_agree_on_speech(model: Model, speech: torch.Tensor) -> None:
    graphs = [g.SerializeToString() for g in onnx_model.graphs(model)]
    mel = HIFIGAN.mel(speech)
    excitation = envelope.whiten(HIFIGAN, speech, mel, torch.full((envelope.BINS,), -1.0))
    noise = torch.from_numpy(reference.noise(0, 0, speech.shape[1]))
    assert export.parity(model, *graphs, mel, 0.5 * noise + 0.5 * excitation, torch.tensor([0.5])) < 1e-4


def test_half_weights_agree_with_the_rounded_model(checkpoint_file: Path, tmp_path: Path) -> None:
    export.main([str(checkpoint_file), "--out", str(tmp_path), "--training-data", "none", "--half"])
    model, _ = checkpoint.load_model(checkpoint_file)
    export.round_to_half(model)
    graphs = [(tmp_path / f"{name}.onnx").read_bytes() for name in ("conditioner", "denoiser")]
    assert export.parity(model, *graphs, *export.random_input(model)) < 1e-4
    assert len(graphs[1]) < 0.6 * len(onnx_model.denoiser_graph(model.denoiser).SerializeToString())


def test_graphs_are_of_opset_17_with_free_batch_and_time(bundle: Path) -> None:
    shapes = {}
    for name in ("conditioner", "denoiser"):
        graph = onnx.load(bundle / f"{name}.onnx")
        assert graph.opset_import[0].version == 17
        for port in [*graph.graph.input, *graph.graph.output]:
            shapes[name, port.name] = [d.dim_param or d.dim_value for d in port.type.tensor_type.shape.dim]
    assert shapes == {
        ("conditioner", "mel"): ["B", 80, "F"],
        ("conditioner", "cond"): ["B", "F", 1536],
        ("denoiser", "x"): ["B", "N"],
        ("denoiser", "t"): ["B"],
        ("denoiser", "cond"): ["B", "F", 1536],
        ("denoiser", "prediction"): ["B", "N"],
    }


def test_the_shapes_inside_are_what_their_names_say(model: Model) -> None:
    known = {"B": 2, "F": 3, "N": 3 * HIFIGAN.hop}

    def size(dim: onnx.TensorShapeProto.Dimension) -> int:
        if not dim.dim_param:
            return dim.dim_value
        if dim.dim_param in known:
            return known[dim.dim_param]
        slope, offset = re.fullmatch(r"(\d+)F([+-]\d+)?", dim.dim_param).groups()
        return int(slope) * known["F"] + int(offset or 0)

    generator = np.random.default_rng(0)
    for graph in onnx_model.graphs(model):
        made = {name for node in graph.graph.node for name in node.output}
        inside = made - {port.name for port in graph.graph.output}
        assert {value.name for value in graph.graph.value_info} == inside
        shapes = {value.name: [size(d) for d in value.type.tensor_type.shape.dim] for value in graph.graph.value_info}
        graph.graph.output.extend(graph.graph.value_info)
        session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        given = {
            port.name: generator.random([size(d) for d in port.type.tensor_type.shape.dim], np.float32) for port in graph.graph.input
        }
        found = session.run(list(shapes), given)
        assert [list(value.shape) for value in found] == list(shapes.values())


def test_manifest_says_what_is_in_the_folder(bundle: Path, checkpoint_file: Path) -> None:
    manifest = tomllib.loads((bundle / "bundle.toml").read_text())
    for name, expected in manifest["sha256"].items():
        assert hashlib.sha256((bundle / f"{name}.onnx").read_bytes()).hexdigest() == expected
    assert manifest["name"] == "test"
    assert manifest["mel"]["hop"] == HIFIGAN.hop
    assert manifest["consistency"] == {"passes": 2, "momentum": 0.0}
    assert manifest["schedules"]["default"] in manifest["schedules"]["named"]
    _, equaliser = checkpoint.load_model(checkpoint_file)
    np.testing.assert_allclose(manifest["envelope"]["log_equaliser"], equaliser.numpy(), atol=1e-5)


def test_a_schedule_may_have_passes_of_its_own(checkpoint_file: Path, tmp_path: Path) -> None:
    words = ["--training-data", "none", "--passes", "4", "--momentum", "0.5", "--passes-of", "draft=10", "--passes-of", "finest=12", "--sharpen", "0.3"]
    export.main([str(checkpoint_file), "--out", str(tmp_path), *words])
    manifest = tomllib.loads((tmp_path / "bundle.toml").read_text())
    assert manifest["consistency"] == {"passes": 4, "momentum": 0.5}
    assert manifest["sharpening"] == {"bands": 0.3}
    assert {name: spec["passes"] for name, spec in manifest["schedules"]["named"].items() if "passes" in spec} == {"draft": 10, "finest": 12}
    for wrong in ("slow=3", "draft", "draft=few"):
        with pytest.raises(SystemExit):
            export.arguments(["last.pt", "--out", str(tmp_path), "--training-data", "none", "--passes-of", wrong])


def test_texts_with_quotes_stay_toml(checkpoint_file: Path, tmp_path: Path) -> None:
    words = 'says "hm" \\ and\nmore é'
    export.main([str(checkpoint_file), "--out", str(tmp_path), "--training-data", words])
    assert tomllib.loads((tmp_path / "bundle.toml").read_text())["training_data"] == words


def test_a_wrong_graph_is_not_written(checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "SIGMA_DATA", 1.2)
    with pytest.raises(SystemExit, match="differ from PyTorch"):
        export.main([str(checkpoint_file), "--out", str(tmp_path / "out"), "--training-data", "none"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", [0, 40])
def test_nothing_beyond_the_contexts_is_heard(model: Model, where: int) -> None:
    """A change of mel or state moves outputs up to `context` frames away, and none beyond."""
    config = model.config
    reach = {"mel": config.conditioner_context(), "x": config.denoiser_context()}
    generator = torch.Generator().manual_seed(0)
    mel = torch.randn(1, 80, 41, generator=generator) - 5.0
    x = torch.randn(1, 41 * HIFIGAN.hop, generator=generator)
    t = torch.tensor([0.3])
    with torch.inference_mode():
        cond = model.conditioner(mel)
        changed = mel.clone()
        changed[..., where] = HIFIGAN.log_floor
        moved = (model.conditioner(changed) - cond).abs().amax((0, 1)).nonzero()[:, 0]
        assert int((moved - where).abs().max()) <= reach["mel"]
        changed = x.clone()
        changed[:, where * HIFIGAN.hop : (where + 1) * HIFIGAN.hop] += 1.0
        difference = model.denoiser(changed, t, cond) - model.denoiser(x, t, cond)
        moved = difference.unflatten(1, (-1, HIFIGAN.hop)).abs().amax((0, 2)).nonzero()[:, 0]
        assert int((moved - where).abs().max()) <= reach["x"]


def test_stored_halves_are_even_and_near() -> None:
    values = torch.cat([torch.randn(4096, generator=torch.Generator().manual_seed(0)), torch.tensor([0.0, 1e-3, -48_000.0])]).double()
    found = export.rounded(values)
    assert not bool((found.view(torch.int16) & 1).any())
    torch.testing.assert_close(found.double(), values, rtol=2**-10, atol=0.0)
    assert abs(float((found.double() / values)[:4096].mean()) - 1) < 2**-14  # no more up than down
