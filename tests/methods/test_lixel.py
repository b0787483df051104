"""1-D heat-maps: where a peak is, is what a joint is."""

from __future__ import annotations

import pytest
import torch

from handbench.methods.blocks.lixel import LixelHead, bin_centres, positions, soft_argmax


@pytest.mark.parametrize(("bins", "peak", "expected"), [(4, 0, 0.125), (4, 3, 0.875), (56, 27, 27.5 / 56), (1, 0, 0.5)])
def test_a_single_peak_is_the_centre_of_its_bin(bins, peak, expected):
    logits = torch.full((bins,), -1e4)
    logits[peak] = 0
    assert soft_argmax(logits).item() == pytest.approx(expected, abs=1e-7)


def test_a_flat_heat_map_is_the_middle_and_two_peaks_are_their_mean():
    assert soft_argmax(torch.zeros(2, 3, 14)).sub(0.5).abs().max() < 1e-6
    logits = torch.tensor([0.0, -1e4, -1e4, 0.0])
    assert soft_argmax(logits).item() == pytest.approx(0.5)
    # weights 3/4 and 1/4 on bins 0 and 1 of 4
    logits = torch.tensor([3.0, 1.0, 0.0, 0.0]).log()
    assert soft_argmax(logits).item() == pytest.approx(0.75 * 0.125 + 0.25 * 0.375)


def test_the_resolution_of_a_heat_map_does_not_change_the_unit():
    for bins in (14, 28, 56):
        logits = -((bin_centres(bins, torch.zeros(1)) - 0.3) ** 2) / (2 * 0.05**2)
        assert soft_argmax(logits).item() == pytest.approx(0.3, abs=1e-3)


def test_half_precision_logits_are_read_in_single():
    logits = torch.randn(5, 56)
    position = soft_argmax(logits.bfloat16())
    assert position.dtype == torch.float32
    torch.testing.assert_close(position, soft_argmax(logits.bfloat16().float()))


@pytest.mark.parametrize(("layers", "bins"), [(1, 8), (2, 16)])
def test_the_head_has_bins_for_its_deconvolutions(layers, bins):
    lixels = LixelHead(32, 21, layers, depth_bins=24, width=16).eval()(torch.randn(2, 32, 4, 4))
    assert [tuple(logits.shape) for logits in lixels] == [(2, 21, bins), (2, 21, bins), (2, 21, 24)]
    assert positions(lixels).shape == (2, 21, 3)


def test_x_is_columns_and_y_is_rows():
    head = LixelHead(8, 21, 1, depth_bins=8, width=8).eval()
    # without deconvolution, which mixes the two near the border
    head.upsample = torch.nn.Identity()
    by_column = torch.randn(1, 8, 1, 4).expand(1, 8, 4, 4)
    lixels = head(by_column)
    assert (lixels.x.std(-1) > 1e-3).all()
    assert (lixels.y.std(-1) < 1e-6).all()
    turned = head(by_column.transpose(2, 3))
    assert (turned.x.std(-1) < 1e-6).all()
    assert (turned.y.std(-1) > 1e-3).all()
