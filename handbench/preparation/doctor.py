"""What is there, what is missing, what is odd, in a dataset as it lies on the disk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from handbench.console import progress
from handbench.datasets.card import Block, Split
from handbench.datasets.checks import Finding, check_truth
from handbench.hands.camera import project
from handbench.hands.joints import BONES, FINGERS
from handbench.hands.record import Hands
from handbench.preparation.blocks import LeftOut, joined, read_range

# enough to see what a set is like; every image is looked at by `handbench prep`
MOST = 2000
BLOCK = 64
# differences that are named one by one
NAMED = 3


class Examined(NamedTuple):
    """Findings about a split, and the samples that were looked at."""

    findings: list[Finding]
    block: Block


def examine(split: Split) -> Examined:
    """Look at all frames of a split, or at some 2,000 spread evenly, 64 in a row."""
    n = len(split)
    starts = np.arange(0, n, BLOCK)
    if n > MOST:
        starts = starts[np.linspace(0, len(starts) - 1, MOST // BLOCK).astype(int)]
    blocks: list[Block] = []
    bad: LeftOut = []
    looked = 0
    with progress("look", len(starts), "blocks") as advance:
        for start in starts.tolist():
            stop = min(start + BLOCK, n)
            block, left_out = read_range(split, start, stop, skip_bad=True)
            blocks += [block] if block.hands is not None else []
            bad += left_out
            looked += stop - start
            advance()
    findings = [_files(looked, bad)]
    block = joined(blocks)
    if block.hands is None:
        return Examined([_counts(split, n, 0), *findings], block)
    hands = block.hands
    exact = looked == n
    findings = [
        _counts(split, len(hands) if exact else n, looked - len(hands) - len(bad), exact),
        *findings,
        _duplicates(block.images),
        *check_truth(hands),
        *_shape(hands),
        *_in_time(hands),
    ]
    return Examined(findings, block)


def _counts(split: Split, samples: int, unannotated: int, exact: bool = True) -> Finding:
    official = split.meta["count"]
    without = f"; {unannotated:,} frames without an annotation" if unannotated else ""
    if official is None:
        return Finding("counts", not split.meta["partial"], f"{samples:,} frames{without}", "the set is not whole")
    # frames without annotation are no samples: from some of them the number of samples is not known
    fine = samples == official if exact or not unannotated else not split.meta["partial"]
    return Finding(
        "counts", fine, f"{samples:,} of {official:,} samples{without}", "" if fine else "the set is not whole"
    )


def _files(looked: int, bad: LeftOut) -> Finding:
    if not bad:
        return Finding("files", True, f"{looked:,} frames looked at, each can be read")
    named = " ".join(why for _, why in bad[:NAMED]) + (f" And {len(bad) - NAMED} more." if len(bad) > NAMED else "")
    return Finding("files", False, f"{len(bad):,} of {looked:,} frames looked at cannot be read", named)


def _duplicates(images: list[bytes]) -> Finding:
    same = len(images) - len(set(images))
    wrong = "images occur more than once, byte for byte" if same else ""
    return Finding("images", same == 0, f"{len(images):,} images read, {same} duplicates", wrong)


def _shape(hands: Hands) -> list[Finding]:
    """Bone lengths by finger, joints outside the image, mesh, sides, visibility: to be read, not judged."""
    findings = []
    if hands.side is not None:
        left = int((hands.side == "left").sum())
        findings.append(Finding("sides", True, f"{len(hands) - left:,} right, {left:,} left"))
    if hands.joints is None or not np.isfinite(hands.joints).any():
        return [*findings, Finding("joints", True, "no 3D truth in these files")]
    joints = np.asarray(hands.joints, np.float64)
    known = np.isfinite(joints).all(-1)
    parents, children = np.array(BONES).T
    lengths = 1000 * np.linalg.norm(joints[:, children] - joints[:, parents], axis=-1)
    if np.isfinite(lengths).all(1).any():
        bones = np.nanmedian(lengths, axis=0)
        said = "; ".join(
            f"{finger} {' '.join(f'{length:.0f}' for length in bones[4 * f : 4 * f + 4])}"
            for f, finger in enumerate(FINGERS)
        )
        findings.append(Finding("bones", True, f"median lengths in mm, base to tip: {said}"))
    else:
        findings.append(Finding("joints", True, f"{known.mean():.0%} of the joints are annotated"))
    if hands.camera is not None and hands.image_size is not None:
        pixels = project(joints, np.asarray(hands.camera))
        with np.errstate(invalid="ignore"):
            outside = ((pixels < -0.5) | (pixels > hands.image_size[:, None] - 0.5)).any(-1) & known
        share, images = outside.sum() / known.sum(), outside.max(1).mean()
        findings.append(Finding("outside", True, f"{share:.1%} of the joints, in {images:.1%} of the images"))
    findings.append(_mesh(hands, joints))
    if hands.visible_fraction is not None and np.isfinite(hands.visible_fraction).any():
        seen = np.asarray(hands.visible_fraction, np.float64)
        low, middle, high = np.nanpercentile(seen, [10, 50, 90])
        unknown = f"; not known of {np.isnan(seen).sum():,}" if np.isnan(seen).any() else ""
        findings.append(Finding("visible", True, f"{low:.0%}, {middle:.0%}, {high:.0%} (10, 50, 90 %){unknown}"))
    return findings


def _mesh(hands: Hands, joints: np.ndarray) -> Finding:
    if hands.vertices is None:
        return Finding("mesh", True, "no vertices")
    with np.errstate(invalid="ignore"):
        nearest = np.linalg.norm(hands.vertices - joints[:, [8]], axis=-1)
    nearest = nearest[np.isfinite(nearest).all(1)].min(1) if np.isfinite(nearest).all(1).any() else np.array([np.nan])
    return Finding("mesh", True, f"the index fingertip lies {1000 * float(np.median(nearest)):.1f} mm from the mesh")


def _in_time(hands: Hands) -> list[Finding]:
    """Whether each track is one run of frames, in order."""
    if hands.track is None or hands.frame is None:
        return []
    changes = np.flatnonzero(hands.track[1:] != hands.track[:-1]) + 1
    runs = np.split(np.arange(len(hands)), changes)
    names = [str(hands.track[run[0]]) for run in runs]
    ordered = all((np.diff(hands.frame[run]) > 0).all() for run in runs)
    captures = len(np.unique(hands.capture)) if hands.capture is not None else 0
    wrong = "" if ordered else "frames of a track are not in order"
    return [Finding("tracks", ordered, f"{len(set(names)):,} tracks in {captures:,} captures were looked at", wrong)]
