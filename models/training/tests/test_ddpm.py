"""The rows of DDPM sampling against published numbers."""

from __future__ import annotations

import numpy as np
import pytest

from vocode_training import ddpm

FIFTY = np.linspace(1e-4, 0.05, 50).tolist()
TWO_HUNDRED = np.linspace(1e-4, 0.02, 200).tolist()
# t, c1, c2 and sigma of the six steps, the noisiest first, for 50 training steps.
GOLDEN = [
    (42.918643, 1.414214, 0.632854, 0.446086),
    (22.992493, 1.118034, 0.401264, 0.220758),
    (10.451817, 1.025978, 0.203221, 0.095704),
    (4.086654, 1.005038, 0.094963, 0.031494),
    (0.894134, 1.0005, 0.030153, 0.009535),
    (0.0, 1.00005, 0.01, 0.0),
]


def test_six_steps_have_the_published_values() -> None:
    np.testing.assert_allclose(ddpm.fast(FIFTY, ddpm.PUBLISHED[1]), GOLDEN, atol=6e-7)


def test_six_steps_of_two_hundred_have_the_published_times() -> None:
    times = [row.t for row in ddpm.fast(TWO_HUNDRED, ddpm.PUBLISHED[0])]
    np.testing.assert_allclose(times, [170.60513, 73.98246, 33.82029, 13.43028, 3.20068, 0.0], atol=6e-6)


def test_the_training_table_as_a_fast_schedule_is_the_full_run() -> None:
    np.testing.assert_allclose(ddpm.fast(FIFTY, FIFTY), ddpm.full(FIFTY), atol=1e-9)
    assert [row.t for row in ddpm.full(FIFTY)] == list(range(49, -1, -1))


@pytest.mark.parametrize("betas", [ddpm.PUBLISHED[0], [0.05, 0.5, 0.9], [1e-5, 1e-3]])
def test_a_schedule_outside_the_training_levels_is_refused(betas: list[float]) -> None:
    with pytest.raises(ValueError, match=r"leave those of training \(0.279673 to 0.999900\)"):
        ddpm.fast(FIFTY, betas)
