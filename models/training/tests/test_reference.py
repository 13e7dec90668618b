"""The reference sampler: published vectors of its noise, and the arithmetic of its steps."""

from __future__ import annotations

import numpy as np
import pytest

from vocode_training import reference
from vocode_training.mel import HIFIGAN

# Known answers of the Random123 distribution, philox4x32 with ten rounds: counter, key, result.
PI = ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0))
VECTORS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (*PI, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


@pytest.mark.parametrize(("counter", "key", "result"), VECTORS)
def test_philox_gives_the_published_answers(counter: tuple[int, ...], key: tuple[int, int], result: tuple[int, ...]) -> None:
    found = reference.philox(np.array(counter, np.uint64)[:, None], key)
    assert tuple(found[:, 0].tolist()) == result


def test_noise_is_white_and_normal() -> None:
    z = reference.noise(7, 1, 200_000).astype(np.float64)
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1.0) < 0.01
    assert abs(np.mean(z[1:] * z[:-1])) < 0.01
    assert abs(np.mean(z**4) - 3.0) < 0.1


def test_noise_depends_on_the_place_alone() -> None:
    whole = reference.noise(7, 1, 1000)
    for start, count in ((0, 3), (1, 10), (998, 2), (401, 57)):
        np.testing.assert_array_equal(reference.noise(7, 1, count, start), whole[start : start + count])
    assert np.abs(reference.noise(8, 1, 1000) - whole).max() > 1.0
    assert np.abs(reference.noise(7, 2, 1000) - whole).max() > 1.0


class Fixed:
    """Graphs that always answer the same estimate, and keep what they were asked."""

    conditioner_context = 2
    denoiser_context = 3
    hop = HIFIGAN.hop
    floor = HIFIGAN.log_floor
    log_equaliser = np.zeros(1025, np.float32)
    passes = 0
    momentum = 0.0

    def __init__(self, estimate: float) -> None:
        self.estimate = estimate
        self.calls: list[tuple[np.ndarray, float, np.ndarray]] = []

    def conditioner(self, mel: np.ndarray) -> np.ndarray:
        return mel

    def denoiser(self, x: np.ndarray, t: np.ndarray, cond: np.ndarray) -> np.ndarray:
        self.calls.append((x, float(t[0]), cond))
        return np.full_like(x, self.estimate)


def test_the_last_step_is_the_estimate() -> None:
    assert np.all(reference.sample_excitation(Fixed(0.25), np.zeros((80, 4)), [0.0, 0.5], seed=1) == np.float32(0.25))


def test_the_state_walks_in_a_straight_line() -> None:
    graphs = Fixed(0.5)
    reference.sample_excitation(graphs, np.zeros((80, 4)), [0.0, 0.2, 0.7], seed=1)
    start = reference.noise(1, 0, 4 * HIFIGAN.hop)
    for x, t, _ in graphs.calls:
        inside = x[0, 3 * HIFIGAN.hop : -3 * HIFIGAN.hop]
        np.testing.assert_allclose(inside, (1 - t) * start + t * 0.5, atol=1e-6)


def test_outside_the_clip_is_silence() -> None:
    graphs = Fixed(0.5)
    reference.sample_excitation(graphs, np.zeros((80, 4)), [0.0, 0.5], seed=1)
    for x, _, cond in graphs.calls:
        assert x.shape == (1, 10 * HIFIGAN.hop)
        assert cond.shape == (1, 80, 10)
        assert not x[0, : 3 * HIFIGAN.hop].any() and not x[0, -3 * HIFIGAN.hop :].any()
        assert np.all(cond[..., :3] == np.float32(HIFIGAN.log_floor)) and np.all(cond[..., -3:] == np.float32(HIFIGAN.log_floor))
        assert np.all(cond[..., 3:-3] == 0)
