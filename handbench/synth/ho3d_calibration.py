"""What HO-3D v3 has beside its frames: the calibration of the cameras of a take, and tips that were marked by hand.

`trans_I.txt` and `cam_I_intrinsics.txt` count the cameras of a take from 0; `cam_orders.txt` has the digit that ends
the name of each one's sequence (ho3d: vis_pcl_all_cameras.py). A file of manual annotations is named as take and
frame, and is in the axes of the take's camera 1 (ho3d: compare_manual_anno.py).
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handbench.layouts.ho3d_labels import DEPTH_SCALE
from handbench.synth.layout import put
from handbench.synth.take import View

# fingertips little to thumb among HO-3D's joints
TIPS = (20, 19, 18, 17, 16)


def write_calibration(out: Path, take: str, views: dict[str, View]) -> None:
    """`calibration/TAKE/calibration`; views by the name of their sequence. `trans_I.txt` (4x4) takes a camera's points
    (OpenCV) to where the take's views are from."""
    folder = out / "calibration" / take / "calibration"
    put(folder / "cam_orders.txt", _text(np.array([[float(name[-1])] for name in views])))
    put(folder / "cam_0_depth_scale.txt", f"{DEPTH_SCALE!r}\n".encode())
    for i, view in enumerate(views.values()):
        to_world = np.eye(4)
        to_world[:3, :3], to_world[:3, 3] = view.rotation.T, -view.rotation.T @ view.shift
        put(folder / f"trans_{i}.txt", _text(to_world))
        (fx, _, px), (_, fy, py), _ = view.camera.tolist()
        put(folder / f"cam_{i}_intrinsics.txt", f"fx: {fx!r}, fy: {fy!r}, ppx: {px!r}, ppy: {py!r}\n".encode())


def write_manual(out: Path, take: str, frame: int, joints: NDArray) -> None:
    """`manual_annotations/TAKE_0000.npy` (5, 3) m; joints (21, 3) in HO-3D's order and axes."""
    data = io.BytesIO()
    np.save(data, joints[list(TIPS)])
    put(out / "manual_annotations" / f"{take}_{frame:04d}.npy", data.getvalue())


def _text(matrix: NDArray) -> bytes:
    return ("\n".join(" ".join(repr(float(v)) for v in row) for row in matrix) + "\n").encode()
