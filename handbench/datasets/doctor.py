"""What is there, what is missing, what is odd, in a dataset as it lies on the disk."""

from __future__ import annotations

import numpy as np

from handbench.console import progress
from handbench.datasets.card import Split
from handbench.datasets.checks import Finding, check_truth
from handbench.hands.camera import project
from handbench.hands.joints import BONES, FINGERS
from handbench.hands.record import Hands

# enough to see what a set is like; every image is looked at by `handbench prep`
MOST = 2000
BLOCK = 64


def examine(split: Split) -> tuple[list[Finding], Hands, list[bytes]]:
    """Findings about a split, and the samples that were looked at with their images: all, or 2,000 spread evenly."""
    n = len(split.ids)
    starts = np.arange(0, n, BLOCK)
    if n > MOST:
        starts = starts[np.linspace(0, len(starts) - 1, MOST // BLOCK).astype(int)]
    blocks, images = [], []
    with progress("look", len(starts), "blocks") as advance:
        for start in starts:
            hands, encoded = split.read(int(start), min(int(start) + BLOCK, n))
            blocks.append(hands)
            images += encoded
            advance()
    hands = Hands.concatenate(blocks)
    return [_counts(split), *_duplicates(hands, images), *check_truth(hands), *_shape(hands)], hands, images


def _counts(split: Split) -> Finding:
    official, n = split.meta["count"], len(split.ids)
    return Finding(
        "counts", n == official, f"{n:,} of {official:,} samples", "" if n == official else "the set is not whole"
    )


def _duplicates(hands: Hands, images: list[bytes]) -> list[Finding]:
    same = len(images) - len(set(images))
    wrong = "images occur more than once, byte for byte" if same else ""
    return [Finding("images", same == 0, f"{len(images):,} images read, {same} duplicates", wrong)]


def _shape(hands: Hands) -> list[Finding]:
    """Bone lengths by finger, and joints outside the image: to be read, not judged."""
    if hands.joints is None:
        return [Finding("joints", True, "no 3D truth in these files")]
    joints = np.asarray(hands.joints, np.float64)
    parents, children = np.array(BONES).T
    bones = 1000 * np.nanmedian(np.linalg.norm(joints[:, children] - joints[:, parents], axis=-1), axis=0)
    lengths = "; ".join(
        f"{finger} {' '.join(f'{length:.0f}' for length in bones[4 * f : 4 * f + 4])}"
        for f, finger in enumerate(FINGERS)
    )
    findings = [Finding("bones", True, f"median lengths in mm, base to tip: {lengths}")]
    if hands.camera is not None and hands.image_size is not None:
        pixels = project(joints, np.asarray(hands.camera))
        outside = ((pixels < -0.5) | (pixels > hands.image_size[:, None] - 0.5)).any(-1) & np.isfinite(pixels).all(-1)
        findings.append(
            Finding(
                "outside", True, f"{outside.mean():.1%} of the joints, in {outside.any(1).mean():.1%} of the images"
            )
        )
    if hands.vertices is None:
        findings.append(Finding("mesh", True, "no vertices"))
    else:
        nearest = np.linalg.norm(hands.vertices[:, None] - joints[:, [8]][:, :, None], axis=-1).min(-1)
        findings.append(
            Finding("mesh", True, f"the index fingertip lies {1000 * np.nanmedian(nearest):.1f} mm from the mesh")
        )
    return findings
