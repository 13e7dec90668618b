"""The two published layouts: which tensors a network has, of what shapes, and where each belongs."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from .network import Affine, DiffWave, Layer, StepTable, StepWaves, Upsampler

State = Mapping[str, Tensor]
Shape = tuple[int, ...]
WAVES = 128  # numbers in a step's embedding
TAPS = 3  # of a dilated convolution, and bands of an upsampler's


class CheckpointError(ValueError):
    """A file that cannot be imported; the message says what was expected and what was found."""


class Reader:
    """Takes tensors out of a state one by one, checked; what is left at the end belongs to another network."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.left = dict.fromkeys(state)

    def rank(self, key: str, rank: int) -> Shape:
        """The sizes of a tensor that others depend on."""
        shape = tuple(self._tensor(key).shape)
        if len(shape) != rank or 0 in shape:
            raise CheckpointError(f"{key}: expected {rank} axes, none of them empty, found shape {list(shape)}")
        return shape

    def take(self, key: str, *shape: int) -> Tensor:
        tensor = self._tensor(key, shape)
        if tuple(tensor.shape) != shape:
            raise CheckpointError(f"{key}: expected shape {list(shape)}, found {list(tensor.shape)}")
        if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
            raise CheckpointError(f"{key}: expected finite numbers, found {'others' if tensor.is_floating_point() else tensor.dtype}")
        self.left.pop(key, None)
        return tensor.detach().float()

    def plain(self, key: str, *shape: int) -> Affine:
        return Affine(self.take(f"{key}.weight", *shape), self.take(f"{key}.bias", shape[0]))

    def normed(self, key: str, *shape: int) -> Affine:
        """Weight norm (Salimans and Kingma 2016): g v / |v|, the length over all axes but the first."""
        g = self.take(f"{key}.weight_g", shape[0], *[1] * (len(shape) - 1)).double()
        v = self.take(f"{key}.weight_v", *shape).double()
        length = v.flatten(1).norm(dim=1).reshape(g.shape)
        if not (length > 0).all():
            raise CheckpointError(f"{key}.weight_v: expected rows that are not all zero, found one that is")
        return Affine((g * v / length).float(), self.take(f"{key}.bias", shape[0]))

    def count(self, pattern: str) -> int:
        """Layers are numbered from 0; a gap is a missing key later."""
        return 1 + max(int(found[1]) for key in self.state if (found := re.match(pattern, key)))

    def end(self) -> None:
        if self.left:
            raise CheckpointError(f"unexpected key {next(iter(self.left))}, one of {len(self.left)}: this is a changed network")

    def _tensor(self, key: str, shape: Shape = ()) -> Tensor:
        tensor = self.state.get(key)
        if not isinstance(tensor, Tensor):
            wanted = f", expected shape {list(shape)}" if shape else ""
            raise CheckpointError(f"missing key {key}{wanted}")
        return tensor


def _upsampler(convolutions: list[Affine]) -> Upsampler:
    first, second = (Affine(c.weight[0, 0], c.bias) for c in convolutions)
    return Upsampler(first, second)


def _width(reader: Reader, key: str) -> int:
    width = reader.rank(key, 4)[3]
    if width % 4:
        raise CheckpointError(f"{key}: expected a width of twice an even stride, found {width}")
    return width


def _flat(affine: Affine) -> Affine:
    """A 1x1 convolution as a matrix."""
    return Affine(affine.weight.flatten(1), affine.bias)


def lmnt(state: State, cycle: int, steps: int) -> DiffWave:
    """lmnt-com/diffwave: one upsampler, a table of steps, residual and skip in one convolution."""
    read = Reader(state)
    channels = read.rank("input_projection.weight", 3)[0]
    middle, width = (read.rank(f"diffusion_embedding.projection{i}.weight", 2)[0] for i in (1, 2))
    mels = read.rank("residual_layers.0.conditioner_projection.weight", 3)[1]
    upsampler = []
    for name in ("spectrogram_upsampler.conv1", "spectrogram_upsampler.conv2"):
        upsampler.append(read.plain(name, 1, 1, TAPS, _width(read, f"{name}.weight")))
    layers = []
    for i in range(read.count(r"residual_layers\.(\d+)\.")):
        key = f"residual_layers.{i}"
        residual, skip = _flat(read.plain(f"{key}.output_projection", 2 * channels, channels, 1)).halves()
        layers.append(
            Layer(
                dilation=2 ** (i % cycle),
                step=read.plain(f"{key}.diffusion_projection", channels, width),
                taps=read.plain(f"{key}.dilated_conv", 2 * channels, channels, TAPS),
                cond=_flat(read.plain(f"{key}.conditioner_projection", 2 * channels, mels, 1)),
                residual=residual,
                skip=skip,
            )
        )
    network = DiffWave(
        input=_flat(read.plain("input_projection", channels, 1, 1)),
        steps=StepTable.of(steps),
        step1=read.plain("diffusion_embedding.projection1", middle, WAVES),
        step2=read.plain("diffusion_embedding.projection2", width, middle),
        layers=layers,
        upsamplers=[_upsampler(upsampler)],
        skip=_flat(read.plain("skip_projection", channels, channels, 1)),
        output=_flat(read.plain("output_projection", 1, channels, 1)),
        step_stays=False,
    )
    read.end()
    return network


def _gate_first(affine: Affine) -> Affine:
    """philsyn puts the tanh half before the sigmoid half."""
    content, gate = affine.halves()
    return Affine(torch.cat([gate.weight, content.weight]), torch.cat([gate.bias, content.bias]))


def philsyn(state: State, cycle: int, _steps: int) -> DiffWave:
    """philsyn/DiffWave-Vocoder: weight norm, an upsampler a layer, the step added in place."""
    read = Reader(state)
    blocks = "residual_layer.residual_blocks"
    channels = read.rank("init_conv.0.conv.weight_v", 3)[0]
    middle, width = (read.rank(f"residual_layer.fc_t{i}.weight", 2)[0] for i in (1, 2))
    mels = read.rank(f"{blocks}.0.mel_conv.conv.weight_v", 3)[1]
    skips = read.rank("final_conv.0.conv.weight_v", 3)[0]
    upsamplers, layers = [], []
    for i in range(read.count(rf"{re.escape(blocks)}\.(\d+)\.")):
        key = f"{blocks}.{i}"
        widths = [_width(read, f"{blocks}.0.upsample_conv2d.{n}.weight_v") for n in range(2)]
        upsamplers.append(_upsampler([read.normed(f"{key}.upsample_conv2d.{n}", 1, 1, TAPS, widths[n]) for n in range(2)]))
        layers.append(
            Layer(
                dilation=2 ** (i % cycle),
                step=read.plain(f"{key}.fc_t", channels, width),
                taps=_gate_first(read.normed(f"{key}.dilated_conv_layer.conv", 2 * channels, channels, TAPS)),
                cond=_gate_first(_flat(read.normed(f"{key}.mel_conv.conv", 2 * channels, mels, 1))),
                residual=_flat(read.normed(f"{key}.res_conv", channels, channels, 1)),
                skip=_flat(read.normed(f"{key}.skip_conv", skips, channels, 1)),
            )
        )
    network = DiffWave(
        input=_flat(read.normed("init_conv.0.conv", channels, 1, 1)),
        steps=StepWaves.new(),
        step1=read.plain("residual_layer.fc_t1", middle, WAVES),
        step2=read.plain("residual_layer.fc_t2", width, middle),
        layers=layers,
        upsamplers=upsamplers,
        skip=_flat(read.normed("final_conv.0.conv", skips, skips, 1)),
        output=_flat(read.plain("final_conv.2.conv", 1, skips, 1)),
        step_stays=True,
    )
    read.end()
    return network
