"""Errors on held-out training frames, by the metrics that score test sets."""

from __future__ import annotations

import numpy as np
import torch

from handbench.hands.joints import WRIST
from handbench.inference.predict import crops_for, predict_in_memory
from handbench.methods.base import Method
from handbench.metrics.align import procrustes_official, root_align
from handbench.metrics.errors import mpjpe
from handbench.training.plan import Plan

# more says no more about which epoch is best, and costs time each epoch
MOST = 2000


class Validation:
    def __init__(self, plan: Plan, method: Method):
        index = plan.validation_index
        if len(index) > MOST:
            index = index[np.linspace(0, len(index) - 1, MOST).astype(int)]
        joints = plan.file.column("joints")[index].astype(np.float64)
        # alignment needs whole hands
        whole = np.isfinite(joints).all((1, 2))
        self.truth = joints[whole]
        self.crops = crops_for(method, plan.file, plan.recipe.data.margin, index[whole])
        self.batch = plan.recipe.train.batch * method.frames

    def errors(self, method: Method, device: torch.device) -> dict[str, float]:
        """Mean errors in mm, the one that picks the best epoch first; empty where nothing is held out."""
        if not len(self.truth):
            return {}
        method.eval()
        hands = predict_in_memory(method, self.crops, device, self.batch, 0)
        joints = np.asarray(hands.joints, np.float64)
        aligned, _ = procrustes_official(self.truth, joints)
        at_root = (root_align(self.truth, self.truth[:, WRIST]), root_align(joints, joints[:, WRIST]))
        return {
            "pa-mpjpe": 1000 * float(mpjpe(self.truth, aligned).mean()),
            "root-mpjpe": 1000 * float(mpjpe(*at_root).mean()),
        }
