"""CLIP-Hand's parts: pooling attention, hops, up-sampling, heat-maps, the CLIP module, the templates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from handbench.errors import InvalidError
from handbench.hands.colours import COLOURS
from handbench.hands.gestures import GESTURES
from handbench.hands.hierarchy import build_hierarchy
from handbench.methods.blocks.clip_text import LIMIT, count_tokens
from handbench.methods.clip_hand.heatmaps import HeatMaps
from handbench.methods.clip_hand.high_resolution import HighResolution
from handbench.methods.clip_hand.language import known_labels, nt_xent, prompt, prompts
from handbench.methods.clip_hand.losses import heatmap_losses, heatmap_targets, masked_mse, project
from handbench.methods.clip_hand.mted import SCALE, Transformer, hop_mask, sine_position
from handbench.methods.clip_hand.pat import Pat, PatBlock, our_name, pooled_product
from handbench.methods.clip_hand.templates import JointTemplates
from tests.methods.clip_hand_tiny import SIZE, WITHOUT_LANGUAGE, build, labelled, run, write_templates


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    return write_templates(tmp_path_factory.mktemp("templates") / "gestures.json")


@pytest.fixture(scope="module")
def coarse(hand):
    return build_hierarchy(hand.v_template, hand.f, (195,)).at(195)


# --- backbone -------------------------------------------------------------------------------------------------------


def test_a_pooled_product_is_rows_times_columns():
    """8 × 8: bands are two wide, so entry (i, j) is Σ_k mean(x[i, 2k:2k+2]) mean(x[2k:2k+2, j])."""
    x = torch.rand(1, 1, 8, 8)
    expected = sum(x[0, 0, 2, 2 * k : 2 * k + 2].mean() * x[0, 0, 2 * k : 2 * k + 2, 5].mean() for k in range(4))
    torch.testing.assert_close(pooled_product(x)[0, 0, 2, 5], expected)


def test_a_new_block_changes_next_to_nothing():
    block, x = PatBlock(64, 1e-5), torch.randn(2, 64, 8, 8)
    assert (block(x) - x).abs().max() < 1e-3
    assert sum(p.numel() for p in block.parameters()) == 3 * 10 * 64 + 3 * 2 * 64 + 2 * 4 * 64 * 64 + 5 * 64 + 2 * 64


def test_weights_under_potters_names_go_where_they_belong(tmp_path):
    assert our_name("patch_embed.proj.weight") == "embeds.0.weight"
    assert our_name("network.3.proj.bias") == "embeds.2.bias"
    assert our_name("network.4.5.token_mixer.proj1.weight") == "stages.2.5.mixer.channel.weight"
    assert our_name("network.0.1.token_mixer.norm.weight") == "stages.0.1.mixer.norm.weight"
    assert our_name("network.6.0.layer_scale_2") == "stages.3.0.scale2"
    assert our_name("network.6.0.mlp.fc2.bias") == "stages.3.0.mlp.2.bias"
    one, two = (Pat((1, 1, 1, 1), (32, 32, 32, 32), 1e-5) for _ in range(2))
    theirs = {"embeds.0": "patch_embed.proj", "mixer.spatial": "token_mixer.proj0", "mlp.0": "mlp.fc1"}
    state = {}
    for key, value in one.state_dict().items():
        for ours, name in theirs.items():
            key = key.replace(ours, name)
        state[key] = value
    torch.save({**state, "head.weight": torch.zeros(1000, 32)}, tmp_path / "w.pt")
    two.load(str(tmp_path / "w.pt"))
    assert all(torch.equal(value, one.state_dict()[key]) for key, value in two.state_dict().items())
    with pytest.raises(InvalidError, match="does not hold the weights of potter-s5"):
        Pat((2, 1, 1, 1), (32, 32, 32, 32), 1e-5).load(str(tmp_path / "w.pt"))


@pytest.mark.parametrize("fuse", ["add", "concat"])
def test_high_resolution_keeps_a_quarter_and_folds_back_where_asked(fuse):
    pyramid = Pat((1, 1, 1, 1), (32, 32, 64, 64), 1e-5)(torch.randn(2, 3, 64, 64))
    feature, last = HighResolution((32, 32, 64, 64), 1e-5, fuse, fold=False)(pyramid)
    assert feature.shape == (2, 32, 16, 16)
    assert last is pyramid.f4
    _, folded = HighResolution((32, 32, 64, 64), 1e-5, fuse, fold=True)(pyramid)
    assert folded.shape == (2, 64, 2, 2)
    assert not torch.equal(folded, pyramid.f4)


# --- mesh -----------------------------------------------------------------------------------------------------------


def test_hops_are_as_dense_as_on_other_hand_meshes_and_bind_vertices_only(coarse):
    """Published masks of 195 vertices have 0.035, 0.198, 0.500 and 0.830 of their entries at 1, 3, 5 and 7 edges."""
    before = np.zeros((195, 195), bool)
    for hops, density in ((1, 0.035), (3, 0.198), (5, 0.500), (7, 0.830)):
        mask = hop_mask(coarse.adjacency(), hops, 22)
        assert mask.shape == (217, 217)
        assert mask[:22].all()
        assert mask[:, :22].all()
        vertices = mask[22:, 22:]
        assert vertices.mean() == pytest.approx(density, rel=0.15)
        assert (vertices == vertices.T).all()
        assert (vertices | ~before).all()
        before = vertices
    neighbours = coarse.adjacency().toarray() > 0
    assert (hop_mask(coarse.adjacency(), 1, 22)[22:, 22:] == neighbours).all()


def test_a_moved_coarse_mesh_is_a_moved_fine_mesh(hand, templates):
    """Rows sum to one. It is made from the template at hand and no checkpoint carries it: none can be of another."""
    method = build(hand, templates, train=False)
    torch.testing.assert_close(method.up.sum(1), torch.ones(778))
    points, by = torch.randn(2, 195, 3), torch.tensor([0.5, -2.0, 0.3])
    torch.testing.assert_close(method.up @ (points + by), method.up @ points + by, atol=1e-5, rtol=0)
    template = torch.from_numpy(hand.v_template).float()
    assert (method.up @ template[method.coarse] - template).norm(dim=-1).mean() < 2e-3
    assert not {"up", "coarse", "regressor", "transformer.masks"} & method.state_dict().keys()


def test_a_masked_pass_is_reached_by_neighbours_joints_and_camera_only(coarse):
    masks = np.stack([hop_mask(coarse.adjacency(), hops, 22) for hops in (1, 1, 1, 1)])
    transformer = Transformer(32, 16, 2, 0, masks, heads=2, dropout=0.0)
    queries, tokens = torch.randn(1, 217, 32), torch.randn(1, 4, 32)
    queries.requires_grad_()
    layer = transformer.wide
    # added to the logits; a boolean one would be turned into this in every call
    assert transformer.masks.unique().tolist() == [-np.inf, 0]
    layer.decode(queries, tokens, transformer.masks[0])[0, 22, 0].backward()
    reached = queries.grad[0].any(-1).numpy()
    assert (reached == masks[0, 22]).all()


def test_the_plain_transformer_has_learned_queries_and_one_width():
    plain = Transformer(32, 16, 2, 217, None, heads=2)
    assert plain.queries.weight.shape == (217, 32)
    assert plain.heads.points.in_features == 32
    camera, points = plain(torch.randn(3, 4, 32))
    assert (camera.shape, points.shape) == ((3, 3), (3, 216, 3))
    # the first guess: next to no hand, in the middle of the patch
    assert (camera - torch.tensor([SCALE, 0, 0])).abs().max() < 0.5
    assert points.abs().max() < 0.1
    with pytest.raises(ValueError, match="given"):
        Transformer(32, 16, 2, 0, None, heads=2)(torch.randn(3, 4, 32))


@pytest.mark.parametrize("raw", [False, True])
def test_which_image_tokens_are_passed_on(coarse, raw):
    masks = np.stack([hop_mask(coarse.adjacency(), hops, 22) for hops in (7, 5, 3, 1)])
    transformer = Transformer(32, 16, 2, 0, masks, heads=2, dropout=0.0, pass_raw=raw).eval()
    seen = []
    transformer.to_narrow["image"].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    tokens = torch.randn(1, 4, 32)
    transformer(tokens, torch.randn(1, 217, 32))
    torch.testing.assert_close(seen[0], tokens if raw else transformer.wide.encode(tokens))


def test_positions_tell_all_cells_apart():
    position = sine_position(7, 512)
    assert position.shape == (49, 512)
    assert torch.cdist(position, position).add(torch.eye(49) * 9).min() > 0.1


# --- heat-maps ------------------------------------------------------------------------------------------------------


def test_a_query_is_the_feature_where_its_map_is_sharp():
    heads = HeatMaps(8, 16, 4, 2, 3, 1).eval()
    sharp = torch.full((1, 5, 4, 4), -50.0)
    for i in range(5):
        sharp[0, i, i % 4, 1] = 50.0
    features = torch.randn(1, 16, 4, 4)
    heads.joints, heads.vertices = (_Constant(part) for part in (sharp[:, :2], sharp[:, 2:]))
    heads.features = _Constant(features)
    tokens = torch.randn(1, 4, 16)
    queries, maps = heads(torch.zeros(1, 8, 4, 4), tokens)
    torch.testing.assert_close(maps, sharp)
    for i in range(5):
        torch.testing.assert_close(queries[0, 1 + i], features[0, :, i % 4, 1])
    # the camera comes first
    weights = heads.camera
    torch.testing.assert_close(queries[0, 0], (tokens[0] * weights.weight.T).sum(0))


class _Constant(torch.nn.Module):
    def __init__(self, value: torch.Tensor):
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value


def test_targets_are_where_the_points_are():
    """A patch of 16 px on 8 × 8 cells: pixel (5, 12) is in column 2 and row 6."""
    at = torch.tensor([[[5.0, 12.0]]])
    assert heatmap_targets(at, 16, 8, "onehot", 2.0).tolist() == [[6 * 8 + 2]]
    gauss = heatmap_targets(at, 16, 8, "gauss", 1.0)[0, 0].view(8, 8)
    assert gauss.sum().item() == pytest.approx(1.0, abs=1e-6)
    # the place is (2.75, 6.25) in cells: 0.25 from the centre of column 2 and of row 6, 0.75 from the next ones
    assert int(gauss.argmax()) == 6 * 8 + 2
    assert (gauss[6, 3] / gauss[6, 2]).item() == pytest.approx(math.exp(-(0.75**2 - 0.25**2) / 2), rel=1e-5)


@pytest.mark.parametrize("kind", ["onehot", "gauss"])
def test_heatmap_losses_by_hand(kind):
    """Flat logits of 1 × 2 × 2 become 16 shares of 1/16: BCE -(ln 1/16 + 15 ln 15/16) / 16, dice 1 - 1/16."""
    at = torch.tensor([[[1.0, 1.0]]])
    target = heatmap_targets(at, 4, 4, kind, 1e-2)
    bce, dice = heatmap_losses(torch.zeros(1, 1, 2, 2), target, torch.ones(1, 1, dtype=torch.bool))
    assert bce.item() == pytest.approx(-(math.log(1 / 16) + 15 * math.log(15 / 16)) / 16, rel=1e-5)
    assert dice.item() == pytest.approx(15 / 16, rel=1e-5)
    assert heatmap_losses(torch.zeros(1, 1, 2, 2), target, torch.zeros(1, 1, dtype=torch.bool))[0] == 0


def test_weak_perspective_by_hand():
    """s = 8 at (0.1, -0.05, 7) m, moved by (0.02, 0.01): 8 · 0.12 and 8 · -0.04; depth does not matter."""
    got = project(torch.tensor([[[0.1, -0.05, 7.0]]]), torch.tensor([[8.0, 0.02, 0.01]]))
    assert got[0, 0].tolist() == pytest.approx([0.96, -0.32])


def test_the_mean_squared_error_by_hand():
    error = torch.tensor([[[1.0, 2.0, 3.0], [9.0, 9.0, 9.0]]])
    assert masked_mse(error, 0 * error, torch.tensor([[True, False]])).item() == pytest.approx(14 / 3)


# --- the CLIP module ------------------------------------------------------------------------------------------------


def test_there_are_380_prompts_and_they_fit():
    found = prompts()
    assert len(set(found)) == len(found) == 380 == len(COLOURS) * len(GESTURES)
    assert "an image of a hand on a lime background in a gesture that means peace inverted" in found
    assert prompt(0, 0) == "an image of a hand on a mustard background in a gesture that means call"
    assert max(count_tokens(text) for text in found) == 19 < LIMIT


def test_nt_xent_by_hand():
    """Two pairs of unit vectors, τ = 0.5: (e1, e1) and (e2, -e1). Cosines over τ are 2, 0, -2."""
    one = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    two = torch.tensor([[2.0, 0.0], [-1.0, 0.0]])
    e = math.exp
    # e1: its pair 2, e2 0, -e1 -2; its twin the same; e2: three times 0; -e1: its pair 0, twice -2
    sides = [-2 + math.log(e(2) + 1 + e(-2))] * 2 + [math.log(3), math.log(1 + 2 * e(-2))]
    assert nt_xent(one, two, 0.5).item() == pytest.approx(sum(sides) / 4, rel=1e-6)


def test_a_sample_without_a_label_takes_no_part_in_the_contrast(hand, templates, make_batch):
    batch = labelled(make_batch(5, SIZE))
    batch["background"][1] = -1
    batch["gesture"][3] = -1
    assert known_labels(batch["background"], batch["gesture"]).tolist() == [True, False, True, False, True]
    method = build(hand, templates)
    output = method(method.normalise(batch["image"]), batch)
    output["tokens"].retain_grad()
    term = method.losses(output, batch)["contrast"]
    term.backward()
    assert output["tokens"].grad.flatten(1).any(1).tolist() == [True, False, True, False, True]
    batch["gesture"][:] = -1
    none = method.losses(method(method.normalise(batch["image"]), batch), batch)["contrast"]
    assert none.item() == 0
    none.backward()


def test_without_the_clip_module_no_labels_are_asked_for(hand, templates, make_batch):
    terms = run(build(hand, templates, **WITHOUT_LANGUAGE), make_batch(2, SIZE))
    assert "contrast" not in terms


# --- templates ------------------------------------------------------------------------------------------------------


def test_predicted_joints_are_left_alone_at_first_and_then_lean_on_turned_templates(templates):
    part = JointTemplates(16, 4)
    part.load(str(templates))
    joints, turn = torch.randn(2, 21, 3) * 0.1, torch.eye(3).expand(2, 3, 3)
    torch.testing.assert_close(part(joints, turn), joints)
    torch.nn.init.ones_(part.out.weight)
    upright = part(joints, turn)
    assert not torch.equal(upright, joints)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    turned = part(joints, quarter.expand(2, 3, 3))
    part.templates.copy_(part.templates @ quarter.T)
    torch.testing.assert_close(part(joints, turn), turned)
    assert not torch.allclose(turned, upright)
