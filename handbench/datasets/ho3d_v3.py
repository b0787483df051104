"""HO-3D v3: version 2's layout with more frames and better poses; images are JPEG, and the hand can be segmented.

    ROOT/train.txt, evaluation.txt   as in version 2, `datasets/ho3d_v2.py`, which reads both
         {train,evaluation}/SEQUENCE/{rgb/%04d.jpg, depth/%04d.png, meta/%04d.pkl}
         train/SEQUENCE/seg/%04d.png   from HO3D_v3_segmentations_rendered.zip, where it was unpacked over the rest
         evaluation_xyz.json, evaluation_verts.json
         calibration/, manual_annotations/   not read

Source: ho3d: README.md, vis_HO3D.py; the segmentation: `layouts/ho3d_labels.py`.
"""

from __future__ import annotations

import dataclasses

from handbench.datasets import ho3d_v2
from handbench.datasets.card import Wanted
from handbench.datasets.ho3d_v2 import SEGMENTATIONS, Ho3dSplit
from handbench.layouts.folder import Folder
from handbench.layouts.ho3d_tree import VERSIONS

CARD = dataclasses.replace(
    ho3d_v2.CARD,
    name="ho3d-v3",
    title="HO-3D v3",
    splits={"train": None, "test": VERSIONS["ho3d-v3"].evaluation},
    has=(*ho3d_v2.CARD.has, "visible_fraction"),
    citation="Hampali et al., HO-3D_v3: Improving the Accuracy of Hand-Object Annotations of the HO-3D Dataset, 2021",
    extras=("masks", "depth"),
    notes=(
        "train.txt is said to have 83,325 frames (78,297 in one official script); its length is not checked.",
        *ho3d_v2.CARD.notes[1:],
        f"Masks, and with them visible_fraction, are of training frames only, and need {SEGMENTATIONS}.",
    ),
)


def open_split(folder: Folder, split: str, wanted: Wanted) -> Ho3dSplit:
    return Ho3dSplit(CARD, folder, split, wanted)
