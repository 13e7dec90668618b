"""From arguments to messages of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import MelConvention
from .._errors import MelError, OptionError
from ..v1 import vocoder_pb2 as pb

MelLike: TypeAlias = ArrayLike | Any
"""A NumPy array, a torch tensor or whatever NumPy can read: [n_mels, frames] or [1, n_mels, frames]."""


class Options(TypedDict, total=False):
    """What a call may ask for beside its steps and its seed. Every field may be left out; each is one of `SynthesisConfig` in the contract."""

    model: str
    """Name of the model; the server's first where it is left out."""
    schedule: str
    """One of the model's schedules by name."""
    times: Sequence[float]
    """Instead of it, times of a flow model, from 0 up, each below 1."""
    betas: Sequence[float]
    """Instead of it, inference betas of a DDPM."""
    solver: str | pb.Solver
    """One of the model's solvers, or a message with its settings."""
    mel_convention: str | MelConvention
    """What the mel's numbers mean: "hifigan", "tacotron2", "matcha" and so on; a preset with a mean and a standard deviation of its own."""
    mel_mean: float | Sequence[float]
    """Of a normalised mel: the mean that was taken off, one for all bands or [n_mels]."""
    mel_std: float | Sequence[float]
    """The standard deviation that the mel was divided by, likewise."""
    layout: Literal["bands-first", "frames-first"]
    """Whether mels are [n_mels, frames], the default, or [frames, n_mels]."""
    trim_padding: bool
    """Cut frames at either end that hold one value in every band; not in live calls."""
    approximate_mel: bool
    """Take mels of other rates, hops and bands too, approximately, where that was measured to lose little; not in live calls."""
    restore: bool
    """Measure how far the mel is blurred, as the mean that an acoustic model predicts is, and undo it; not in live calls."""
    sharpen: float
    """Bring out the detail across bands that a blurred mel has lost, 0 to 4; 0 leaves the mel as it is. As the model does where it is left out."""
    sample_rate: int
    """Samples a second of the audio; the model's own where it is left out."""
    first_chunk_frames: int
    """Mel frames that the first piece of a stream covers."""
    chunk_frames: int
    """Mel frames by which a stream's audio advances, once under way."""
    request_id: str
    """A name for the call in the server's logs."""
    timeout: float
    """Seconds that the whole call may take."""


class Order:
    """One call as its arguments ask for it."""

    def __init__(self, steps: int | None, seed: int, **options: Unpack[Options]) -> None:
        """Raises OptionError where arguments contradict each other, TypeError for one that there is not."""
        unknown = options.keys() - Options.__annotations__.keys()
        if unknown:
            raise TypeError(f"there is no option {', '.join(sorted(unknown))}; there are steps, seed, {', '.join(Options.__annotations__)}")
        if options.get("layout", "bands-first") not in ("bands-first", "frames-first"):
            raise OptionError(f'`layout` {options["layout"]!r}: expected "bands-first" or "frames-first"')
        if not 0 <= seed < 1 << 64:
            raise OptionError(f"`seed` {seed}: expected 0 to 2**64 - 1")
        self.bands_first = options.get("layout", "bands-first") == "bands-first"
        self.request_id = options.get("request_id", "")
        self.timeout = options.get("timeout")
        self.config = _config(steps, seed, options)

    @property
    def changes_frames(self) -> bool:
        """Whether the server may make another number of frames of a mel."""
        return self.config.trim_padding or self.config.approximate_mel

    def mel(self, mel: MelLike) -> pb.Mel:
        """The mel, frame by frame.

        Raises MelError for what is no mel of [n_mels, frames], or of [frames, n_mels] where that is the layout.
        """
        values = _floats(mel)
        shape = values.shape
        if values.ndim == 3 and shape[0] == 1:
            values = values[0]
        if values.ndim != 2 or not values.size:
            axes = "[n_mels, frames]" if self.bands_first else "[frames, n_mels]"
            raise MelError(f"expected a mel of shape {axes}, found shape {list(shape)}: a call takes one mel, of at least one frame")
        frames = values.T if self.bands_first else values
        return pb.Mel(n_mels=frames.shape[1], n_frames=frames.shape[0], data_f32le=frames.astype("<f4", order="C", copy=False).tobytes())


def _config(steps: int | None, seed: int, options: Options) -> pb.SynthesisConfig:
    mean, std = options.get("mel_mean"), options.get("mel_std")
    convention = options.get("mel_convention", "")
    if isinstance(convention, MelConvention):
        mean, std = _moments(convention, mean, std)
        convention = convention.name
    solver = options.get("solver")
    return pb.SynthesisConfig(
        model=options.get("model", ""),
        encoding=pb.AUDIO_ENCODING_PCM_F32LE,
        sample_rate_hz=options.get("sample_rate", 0),
        schedule=_schedule(steps, options),
        seed=seed,
        mel_convention=convention,
        chunk_frames=options.get("chunk_frames", 0),
        first_chunk_frames=options.get("first_chunk_frames", 0),
        solver=pb.Solver(name=solver) if isinstance(solver, str) else solver,
        trim_padding=options.get("trim_padding", False),
        approximate_mel=options.get("approximate_mel", False),
        restore=options.get("restore", False),
        sharpen=options.get("sharpen"),
        mel_mean=_numbers(mean),
        mel_std=_numbers(std),
    )


def _schedule(steps: int | None, options: Options) -> pb.Schedule | None:
    given = {name for name in ("schedule", "times", "betas") if name in options} | ({"steps"} if steps is not None else set())
    if len(given) > 1:
        raise OptionError(f"`{'` and `'.join(sorted(given))}` all say how many steps to take: give one of them")
    if steps is not None:
        if steps < 1:
            raise OptionError(f"`steps` {steps}: at least one step must be taken")
        return pb.Schedule(steps=steps)
    if "schedule" in options:
        return pb.Schedule(name=options["schedule"])
    if "times" in options:
        return pb.Schedule(times=pb.TimeList(values=options["times"]))
    return pb.Schedule(betas=pb.BetaList(values=options["betas"])) if "betas" in options else None


def _moments(convention: MelConvention, mean: Any, std: Any) -> tuple[Any, Any]:
    """A convention travels as a name with a mean and a standard deviation, so it must be a preset with no more than those of its own."""
    preset = MelConvention(convention.name) if convention.name in MelConvention.names() else None
    if preset is None or preset.normalized(convention.mean, convention.std) != convention:
        raise OptionError(f"`mel_convention` {convention.name!r} is no preset, and a server takes presets: expected {', '.join(MelConvention.names())}")
    if preset == convention:
        return mean, std
    if mean is not None or std is not None:
        raise OptionError("`mel_convention` has a mean and a standard deviation, and so have `mel_mean` and `mel_std`: give them once")
    return convention.mean, convention.std


def _numbers(value: float | Sequence[float] | None) -> list[float]:
    return [] if value is None else np.atleast_1d(np.asarray(_floats_of_any(value), dtype=np.float64)).ravel().tolist()


def _floats(mel: MelLike) -> NDArray[Any]:
    values = np.asarray(_floats_of_any(mel))
    if values.dtype.kind != "f":
        raise MelError(
            f"element type {values.dtype} is not supported, expected float16, float32 or float64: give mel.astype(numpy.float32)"
        )
    return values


def _floats_of_any(value: Any) -> Any:
    """A tensor of torch, also one on a GPU, in bfloat16 or with a gradient, as an array; anything else as it is."""
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:
        return tensor.float().numpy()
