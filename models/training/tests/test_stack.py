"""The fast form of the residual stack against its plain form."""

from __future__ import annotations

import torch
from conftest import random_model

from vocode_training.network import Config


def test_both_forms_agree_in_value_and_gradient() -> None:
    model = random_model(Config(channels=16, layers=7, cycle=4)).double()
    y = torch.randn(3, 256 * 8, dtype=torch.double, requires_grad=True)
    t, mel = torch.rand(3, dtype=torch.double), torch.randn(3, 80, 8, dtype=torch.double)

    def run(fast: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model.train(fast)
        model.zero_grad()
        y.grad = None
        output = model.denoiser.network(y, t, model.conditioner(mel))
        (output * torch.sin(torch.arange(output.numel())).view_as(output)).sum().backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        return output.detach(), {**gradients, "y": y.grad.clone()}

    plain, fast = run(False), run(True)
    torch.testing.assert_close(fast[0], plain[0], atol=1e-10, rtol=0)
    for name, gradient in plain[1].items():
        torch.testing.assert_close(fast[1][name], gradient, atol=1e-9, rtol=0, msg=name)
