"""The residual stack as one autograd function for training on a CPU.

There the element-wise passes and copies cost more than the products, so the stack keeps all items in one flat buffer with
`gap` rows of zeros between them: a shifted tap is then a view, three taps are three accumulating products, and nothing is
padded, concatenated or sliced with a copy. The same arithmetic as `Denoiser.plain_stack`; a test holds them together.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

HALF = math.sqrt(0.5)


class Stack(torch.autograd.Function):
    """`x [B, S, C]`, `bias [B, F, L, 2C]`, taps `[L, 3, 2C, C]`, residual and skip products `[L, C, C]` and biases `[L, C]` -> sum of skips."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, bias: Tensor, taps: Tensor, residual: Tensor, skip: Tensor, residual_bias: Tensor, skip_bias: Tensor, dilations: list[int]
    ) -> Tensor:
        batch, steps, channels = x.shape
        frames = bias.shape[1]
        gap = max(dilations)
        rows = batch * (steps + gap)

        def zero_gaps(flat: Tensor) -> None:
            flat.view(batch, steps + gap, -1)[:, steps:].zero_()

        state = x.new_zeros(gap + rows, channels)
        state[gap:].view(batch, steps + gap, channels)[:, :steps] = x
        total = skip_bias.sum(0).expand(rows, channels).contiguous()
        kept = []
        for i, d in enumerate(dilations):
            # The rows after the last item have no reader to the right of the buffer: its last tap stops at the end.
            u = torch.mm(state[gap:], taps[i, 1].t())
            u.addmm_(state[gap - d : gap - d + rows], taps[i, 0].t())
            u[: rows - d].addmm_(state[gap + d :], taps[i, 2].t())
            inner = u.view(batch, steps + gap, -1)[:, :steps].unflatten(1, (frames, -1))
            inner += bias[:, :, i][:, :, None]
            gate = torch.sigmoid(u[:, :channels])
            content = torch.tanh(u[:, channels:])
            product = gate * content
            total.addmm_(product, skip[i].t())
            kept += [state, gate, content]
            if i + 1 < len(dilations):
                following = torch.empty_like(state)
                following[:gap].zero_()
                torch.addmm(residual_bias[i], product, residual[i].t(), out=following[gap:])
                following[gap:].add_(state[gap:]).mul_(HALF)
                zero_gaps(following[gap:])
                state = following
        ctx.save_for_backward(taps, residual, skip, *kept)
        ctx.shape = (batch, steps, channels, frames, gap, rows)
        ctx.dilations = dilations
        return total.view(batch, steps + gap, channels)[:, :steps]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        taps, residual, skip, *kept = ctx.saved_tensors
        batch, steps, channels, frames, gap, rows = ctx.shape
        layers = len(ctx.dilations)
        d_total = taps.new_zeros(rows, channels)
        d_total.view(batch, steps + gap, channels)[:, :steps] = grads[0]
        d_taps, d_residual, d_skip = torch.empty_like(taps), torch.zeros_like(residual), torch.empty_like(skip)
        d_residual_bias = taps.new_zeros(layers, channels)
        d_bias = taps.new_empty(batch, frames, layers, 2 * channels)
        buffer = taps.new_zeros(gap + rows + gap, 2 * channels)
        du = buffer[gap : gap + rows]
        dx: Tensor | None = None
        for i in reversed(range(layers)):
            d = ctx.dilations[i]
            state, gate, content = kept[3 * i : 3 * i + 3]
            product = gate * content
            dg = torch.mm(d_total, skip[i])
            torch.mm(d_total.t(), product, out=d_skip[i])
            if dx is not None:
                dx.mul_(HALF)
                dg.addmm_(dx, residual[i])
                torch.mm(dx.t(), product, out=d_residual[i])
                d_residual_bias[i] = dx.sum(0)
            # d/du of sigmoid(u) tanh(v) is product (1 - gate); d/dv is gate - product content.
            torch.mul(dg, product - product * gate, out=du[:, :channels])
            torch.mul(dg, gate - product * content, out=du[:, channels:])
            d_bias[:, :, i] = du.view(batch, steps + gap, -1)[:, :steps].unflatten(1, (frames, -1)).sum(2)
            torch.mm(du.t(), state[gap - d : gap - d + rows], out=d_taps[i, 0])
            torch.mm(du.t(), state[gap:], out=d_taps[i, 1])
            torch.mm(du[: rows - d].t(), state[gap + d :], out=d_taps[i, 2])
            before = torch.mm(du, taps[i, 1])
            before.addmm_(buffer[gap + d : gap + d + rows], taps[i, 0])
            before.addmm_(buffer[gap - d : gap - d + rows], taps[i, 2])
            dx = before if dx is None else before.add_(dx)
            dx.view(batch, steps + gap, -1)[:, steps:].zero_()
        assert dx is not None
        d_x = dx.view(batch, steps + gap, channels)[:, :steps]
        d_skip_bias = d_total.sum(0).expand(layers, channels)
        return d_x, d_bias, d_taps, d_residual, d_skip, d_residual_bias, d_skip_bias, None
