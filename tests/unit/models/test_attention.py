"""Attention in a training of low precision: computed in float32 on a CPU, and the same as by the formula."""

import pytest
import torch

from tidemill.models.common.attention import attend

SHAPE = (2, 3, 5, 4)


def by_the_formula(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    scores = queries @ keys.transpose(-2, -1) / SHAPE[-1] ** 0.5
    return scores.masked_fill(~seen, -torch.inf).softmax(-1) @ values


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_under_autocast_is_that_of_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    queries, keys, values = (torch.randn(SHAPE).to(dtype) for _ in range(3))
    earlier = torch.ones(5, 5, dtype=torch.bool).tril()
    inside = torch.tensor([True, True, True, False, False]).expand(1, 1, 5, 5)
    with torch.autocast("cpu", torch.bfloat16):
        causal, masked = attend(queries, keys, values, causal=True), attend(queries, keys, values, inside)
    wide = [part.float() for part in (queries, keys, values)]
    torch.testing.assert_close(causal, by_the_formula(*wide, earlier))
    torch.testing.assert_close(masked, by_the_formula(*wide, inside))


def test_a_place_does_not_see_what_comes_after_it() -> None:
    torch.manual_seed(0)
    queries, keys, values = (torch.randn(SHAPE) for _ in range(3))
    before = attend(queries, keys, values, causal=True)
    keys[:, :, -1] += 1
    values[:, :, -1] += 1
    changed = (attend(queries, keys, values, causal=True) != before).any(dim=(0, 1, 3))
    assert changed.tolist() == [False, False, False, False, True]
