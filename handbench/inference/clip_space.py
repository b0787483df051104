"""CLIP's features of images of several sets, and of a source's images shifted towards prompts (clip-dg, section 4).

Arrays out, on the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from handbench.console import progress
from handbench.errors import UsageError
from handbench.inference.crops import Crops, to_device
from handbench.inference.latent import place_of, spread
from handbench.methods.blocks.clip_image import FrozenImage, load_image
from handbench.methods.blocks.clip_text import FrozenText, load_text
from handbench.methods.clip_dg.branch import mix
from handbench.methods.clip_dg.prompts import distinct, draw
from handbench.store.hands_file import HandsFile

# the crop that clip-dg sees
SIZE, MARGIN = 256, 1.25
# figures 3 and 4 add image and text in equal parts
RATIO = 0.5
# of a random tower, which needs no more
RANDOM = (2, 128)
SHIFTED = "shifted by prompts"
BATCH = 32


@dataclass(frozen=True)
class Nearest:
    """One image and one prompt, and the source's other images by how near they are to the two together.

    ids (k,); cosines (k,) descending; images (k,S,S,3) uint8 RGB; given_id and given (S,S,3): the image put in.
    """

    prompt: str
    given_id: str
    given: NDArray
    ids: list[str]
    cosines: NDArray
    images: NDArray


class Towers:
    """CLIP's two frozen towers: `openai`, a file or `random`. Raises MissingError for weights that are not there."""

    def __init__(self, weights: str, device: torch.device):
        size = RANDOM if weights == "random" else ()
        self.image: FrozenImage = load_image(weights, *size)
        self.text: FrozenText = load_text(weights, *size)
        self.device = device

    def images(self, file: HandsFile, index: NDArray, said: str) -> tuple[Tensor, NDArray]:
        """(n,512) features and (n,S,S,3) uint8 RGB of the crops."""
        crops = Crops(file, SIZE, MARGIN, ("box",) if "box" in file.fields else (), index)
        features, pixels = [], []
        with progress(f"CLIP {said}", len(crops), "images") as advance:
            for batch in DataLoader(crops, BATCH):
                image = to_device(batch, self.device)["image"]
                features.append(self.image.encode(image).cpu())
                pixels.append(batch["image"].permute(0, 2, 3, 1).numpy())
                advance(len(image))
        return torch.cat(features), np.concatenate(pixels)

    def prompts(self, texts: Sequence[str]) -> Tensor:
        return self.text.pooled(texts, self.device).cpu()


def domains(
    towers: Towers, source: tuple[str, HandsFile], targets: Mapping[str, HandsFile], count: int, seed: int = 0
) -> dict[str, NDArray]:
    """Figure 3: unit features (n,512) of `count` images, evenly spread, of the source and of each target, and of the
    source's shifted halfway towards prompts drawn from the table's configurations.
    """
    name = source[0]
    found = {}
    for each, file in (source, *targets.items()):
        features, _ = towers.images(file, spread(len(file), count), each)
        found[each] = F.normalize(features, dim=-1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        said = [distinct()[int(i)] for i in draw(len(found[name]))]
    shifted = mix(found[name], towers.prompts(said), RATIO)
    ordered = {name: found[name], SHIFTED: F.normalize(shifted, dim=-1), **{key: found[key] for key in targets}}
    return {key: value.numpy() for key, value in ordered.items()}


def nearest(
    towers: Towers, source: HandsFile, sample: str | None, prompts: Sequence[str], count: int, best: int
) -> list[Nearest]:
    """Figure 4: for each prompt, the `best` of `count` of the source's images by their cosine to the image `sample` (id
    or place; the first if none is named) shifted halfway towards the prompt. The image itself is left out.

    Raises UsageError where fewer than two images are there to be compared.
    """
    place = 0 if sample is None else place_of(source, sample)
    index = np.union1d(spread(len(source), count), [place])
    if len(index) < 2:
        raise UsageError("One image has no others to be near to.", "Give --samples 2 or more.")
    features, pixels = towers.images(source, index, "source")
    unit = F.normalize(features, dim=-1)
    own = int(np.flatnonzero(index == place)[0])
    others = np.delete(np.arange(len(index)), own)
    found = []
    for prompt, words in zip(prompts, towers.prompts(prompts), strict=True):
        wanted = F.normalize(mix(features[own : own + 1], words[None], RATIO), dim=-1)
        cosines = (unit[others] @ wanted[0]).numpy()
        order = np.argsort(-cosines, kind="stable")[:best]
        chosen = others[order]
        ids = [str(source.ids[index[i]]) for i in chosen]
        found.append(Nearest(prompt, str(source.ids[place]), pixels[own], ids, cosines[order], pixels[chosen]))
    return found
