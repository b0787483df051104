"""How much of a hand is seen: pixels of the amodal silhouette of its mesh that the segmentation gives to the hand.

    visible_fraction = |silhouette & hand| / |silhouette|

both clipped to the image; the silhouette is the mesh's at pixel centres, nothing in front of it. Self-occlusion does
not count. NaN where no pixel centre of the image is in the silhouette. Source: UniHand's r = (|M| - |M & V|) / |M|, of
which this is 1 - r; Deformer's frame lists for its occlusion bins were never published.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handbench.hands.raster import silhouette

DEFINITION = "pixels of the amodal MANO silhouette in the image that the segmentation gives to the hand / all of them"
RENDERED = "visible pixels / pixels of the amodal silhouette inside the image"


def visible_fraction(vertices: NDArray, faces: NDArray, camera: NDArray, hand: NDArray) -> float:
    """vertices (V, 3) m in the camera frame, camera (3, 3), hand (H, W) bool: the hand's pixels in the same image."""
    height, width = hand.shape
    amodal = silhouette(vertices, faces, camera, (width, height))
    whole = int(np.count_nonzero(amodal))
    return float(np.count_nonzero(amodal & hand)) / whole if whole else float("nan")
