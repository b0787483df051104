"""The six ordinary augmentations of table 6, on batches of images, where they are; what is drawn differs by image.

The paper names them and gives no strengths. Ranges are those of PeCLR (Spurr et al., ICCV 2021), whose augmentations
these are: colour jitter in HSV with factors, Gaussian noise of standard deviation 25, cut-out up to 0.16 of the image,
a Sobel filter of 3 × 3. The blur's is SimCLR's, 0.1 to 2 pixels. All take and give RGB in 0..255, float (B,3,H,W).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

HUE, SATURATION, VALUE, BRIGHTER = (0.01, 1.0), (0.01, 1.0), (0.5, 1.0), (5.0, 20.0)
CUT_OUT = (0.0, 0.16)  # share of the image's area
NOISE = 25.0  # grey levels
BLUR, RADIUS = (0.1, 2.0), 4  # standard deviation, pixels
# of red, green and blue in grey (ITU-R BT.601)
GREY = (0.299, 0.587, 0.114)

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


def colour_jitter(image: Tensor, generator: torch.Generator) -> Tensor:
    """Hue and saturation times a factor, value times a factor and then some grey levels brighter."""
    hue, saturation, value = to_hsv(image / 255)
    n = len(image)
    hue = hue * _uniform(HUE, n, generator)
    saturation = saturation * _uniform(SATURATION, n, generator)
    value = value * _uniform(VALUE, n, generator) + _uniform(BRIGHTER, n, generator) / 255
    return to_rgb(hue, saturation, value.clamp(0, 1)) * 255


def cut_out(image: Tensor, generator: torch.Generator) -> Tensor:
    """A black square anywhere inside."""
    n, _, height, width = image.shape
    side = (_uniform(CUT_OUT, n, generator) * height * width).sqrt().clamp(min=1, max=min(height, width))
    top = _uniform((0.0, 1.0), n, generator) * (height - side)
    left = _uniform((0.0, 1.0), n, generator) * (width - side)
    y = torch.arange(height, device=image.device)[None, :, None] + 0.5
    x = torch.arange(width, device=image.device)[None, None, :] + 0.5
    inside = (y >= top) & (y <= top + side) & (x >= left) & (x <= left + side)
    return image.masked_fill(inside[:, None], 0.0)


def gaussian_noise(image: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(image.shape, generator=generator, device=image.device)
    return (image + NOISE * noise).clamp(0, 255)


def sobel(image: Tensor, generator: torch.Generator) -> Tensor:
    """Length of each channel's gradient, cut off at 255."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    rows = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    columns = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    across, down = rows[..., 2:] - rows[..., :-2], columns[..., 2:, :] - columns[..., :-2, :]
    return torch.hypot(across, down).clamp(max=255)


def colour_drop(image: Tensor, generator: torch.Generator) -> Tensor:
    weights = image.new_tensor(GREY).view(3, 1, 1)
    return (image * weights).sum(1, keepdim=True).expand_as(image)


def gaussian_blur(image: Tensor, generator: torch.Generator) -> Tensor:
    n, channels, height, width = image.shape
    at = torch.arange(-RADIUS, RADIUS + 1, device=image.device)
    kernel = (-0.5 * (at / _uniform(BLUR, n, generator)[:, 0]).square()).exp()
    kernel = (kernel / kernel.sum(-1, keepdim=True)).repeat_interleave(channels, 0)
    padded = F.pad(image, (RADIUS,) * 4, mode="replicate").reshape(
        1, n * channels, *(s + 2 * RADIUS for s in (height, width))
    )
    across = F.conv2d(padded, kernel[:, None, None], groups=n * channels)
    return F.conv2d(across, kernel[:, None, :, None], groups=n * channels).view_as(image)


AUGMENTATIONS: dict[str, Augmentation] = {
    "colour jitter": colour_jitter,
    "cut-out": cut_out,
    "Gaussian noise": gaussian_noise,
    "Sobel": sobel,
    "colour drop": colour_drop,
    "blur": gaussian_blur,
}


def augment(image: Tensor, probability: float = 0.5) -> Tensor:
    """RGB (B,3,H,W) uint8 or float -> float, each of the six on each image with `probability`, in that order.

    Everything is drawn from one seed of torch's generator on the CPU, whose state a checkpoint keeps.
    """
    generator = torch.Generator(image.device).manual_seed(int(torch.randint(2**62, ())))
    image = image.float()
    for change in AUGMENTATIONS.values():
        chosen = torch.rand(len(image), generator=generator, device=image.device) < probability
        image = torch.where(chosen[:, None, None, None], change(image, generator), image)
    return image


def to_hsv(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """RGB in 0..1 (B,3,H,W) -> hue, saturation and value in 0..1, each (B,H,W)."""
    value, strongest = image.max(1)
    spread = value - image.amin(1)
    safe = torch.where(spread > 0, spread, 1.0)
    red, green, blue = image.unbind(1)
    sectors = torch.stack([((green - blue) / safe) % 6, (blue - red) / safe + 2, (red - green) / safe + 4])
    hue = sectors.gather(0, strongest[None])[0] / 6
    return torch.where(spread > 0, hue, 0.0), spread / value.clamp(min=1e-8), value


def to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The inverse of `to_hsv`: (B,3,H,W) in 0..1."""
    channels = []
    for offset in (5.0, 3.0, 1.0):
        k = (offset + 6 * hue) % 6
        channels.append(value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)


def _uniform(bounds: tuple[float, float], n: int, generator: torch.Generator) -> Tensor:
    """(n,1,1), one number an image."""
    low, high = bounds
    return low + (high - low) * torch.rand(n, 1, 1, generator=generator, device=generator.device)
