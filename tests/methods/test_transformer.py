"""What attends to what."""

from __future__ import annotations

import pytest
import torch

from handbench.methods.blocks.transformer import Block, Transformer


def test_one_block_is_attention_and_mlp_by_the_book():
    torch.manual_seed(0)
    block = Block(8, 2)
    x = torch.randn(2, 5, 8)
    q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in block.qkv(block.norm1(x)).chunk(3, -1))
    mixed = ((q @ k.transpose(-1, -2)) / 2.0).softmax(-1) @ v
    y = x + block.out(mixed.transpose(1, 2).flatten(2))
    hidden = block.mlp[0](block.norm2(y))
    expected = y + block.mlp[2](hidden * torch.sigmoid(1.702 * hidden))
    torch.testing.assert_close(block(x), expected)


def test_nodes_attend_to_nodes_of_their_own_sample():
    transformer = Transformer(16, 2, 4)
    x = torch.randn(3, 6, 16)
    other = x.clone()
    other[1:] += 1
    torch.testing.assert_close(transformer(x)[0], transformer(other)[0])
    other = x.clone()
    other[:, 5, 0] += 10
    assert not torch.allclose(transformer(x)[:, 0], transformer(other)[:, 0])


def test_the_batch_axis_reproduces_the_defect():
    transformer = Transformer(16, 2, 4, axis="batch")
    x = torch.randn(3, 6, 16)
    other = x.clone()
    other[1:, :, 0] += 10
    assert not torch.allclose(transformer(x)[0], transformer(other)[0])
    other = x.clone()
    other[:, 5, 0] += 10
    torch.testing.assert_close(transformer(x)[:, :5], transformer(other)[:, :5])


def test_what_is_not_kept_is_not_attended_to():
    transformer = Transformer(16, 2, 4)
    x = torch.randn(1, 6, 16)
    keep = torch.tensor([[True] * 4 + [False] * 2])
    other = x.clone()
    other[:, 4:, 0] += 10
    torch.testing.assert_close(transformer(x, keep)[:, :4], transformer(other, keep)[:, :4])
    torch.testing.assert_close(transformer(x, keep)[:, :4], transformer(x[:, :4]), atol=1e-5, rtol=1e-4)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="no multiple"):
        Block(10, 4)
