"""Writing synthetic hands in the layout of the real-world set of Ge et al.: crops of 1280x720 frames, two MAT files.

Joints are float32 centimetres. A crop is painted at half its size and enlarged, as the set's own are enlarged from
small hands in large frames.
"""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import cv2
import numpy as np
import scipy.io
from numpy.typing import NDArray

from handbench.errors import UsageError
from handbench.hands.camera import apply_affine, crop_camera, joint_box, project
from handbench.hands.joints import MIDDLE_MCP, MIDDLE_PIP
from handbench.hands.raster import rasterise
from handbench.hands.record import Hands
