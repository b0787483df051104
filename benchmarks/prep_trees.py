"""Official layouts in the size that `prep.py` needs: few pictures, under many names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import orjson

from handbench.hands.mano import hand_model_bytes
from handbench.layouts.mark import SYNTHETIC_MARK
from handbench.preparation.source import present_hand
from handbench.store.hands_file import HandsFile
from handbench.synth.dataset import SyntheticHands
from handbench.synth.freihand import annotation
from handbench.synth.hand import synthetic_hand
from handbench.synth.layout import Size, put_rgb, writer

# an inode of ext4 has at most 65,000 names
NAMES = 60000
PICTURES = 48


def freihand(root: Path, n: int) -> Path:
    """Training split of n annotations and 4 n images of their own bytes."""
    hands = SyntheticHands(PICTURES, 3, model=present_hand())
    (root / "training/rgb").mkdir(parents=True)
    images, entries = [], []
    for i in range(PICTURES):
        put_rgb(root / "picture.jpg", hands.image(i))
        images.append((root / "picture.jpg").read_bytes())
        entries.append(annotation(hands.sample(i)))
    (root / "picture.jpg").unlink()
    for field in ("K", "mano", "scale", "xyz", "verts"):
        texts = [orjson.dumps(np.asarray(entry[field]).tolist()) for entry in entries]
        with open(root / f"training_{field}.json", "wb") as file:
            file.write(b"[" + b", ".join(texts[i % PICTURES] for i in range(n)) + b"]")
    for i in range(4 * n):
        (root / f"training/rgb/{i:08d}.jpg").write_bytes(images[i % PICTURES])
    return root


def dexycb(root: Path, sequences: int, frames: int) -> tuple[Path, Path]:
    """A tree of some sequences, and the file with the names of all."""
    writer("dexycb").write(root, Size(sequences=sequences, frames=frames), 0, present_hand, lambda steps=1: None)
    return root, root / "sequence-names.txt"


def hand_models(home: Path) -> None:
    """Models of both hands, as `handbench prep mano` leaves them: the synthetic hand in MANO's place."""
    (home / "data").mkdir(parents=True, exist_ok=True)
    for side in ("right", "left"):
        (home / f"data/mano-{side}.npz").write_bytes(hand_model_bytes(synthetic_hand(side)))


def windows(file: HandsFile, path: Path) -> None:
    """Which frames were read and which windows were cut, for the limit."""
    hands = file.read()
    files = [f"{t}/color_{f:06d}.jpg" for t, f in zip(hands.track.tolist(), hands.frame.tolist(), strict=True)]
    low = -hands.crop[:, :, 2]
    np.savez(path, files=np.array(files), windows=np.concatenate([low, low + hands.image_size], 1).astype(int))


def hanco(root: Path, n: int) -> Path:
    """n frames in sequences of 250 time steps by eight cameras; the files are names of a few."""
    steps = 25
    seed = root.with_name(root.name + "-seed")
    writer("hanco").write(seed, Size(sequences=1, frames=1), 0, present_hand, lambda steps=1: None)
    sequences = max(1, n // (8 * steps))
    meta = {
        key: [[values[0][0]] * steps for _ in range(sequences)]
        for key, values in json.loads((seed / "meta.json").read_text()).items()
    }
    root.mkdir(parents=True)
    (root / "meta.json").write_text(json.dumps(meta))
    (root / SYNTHETIC_MARK).write_bytes((seed / SYNTHETIC_MARK).read_bytes())
    for source in sorted(seed.rglob("*")):
        if not source.is_file() or source.parent == seed:
            continue
        kind, _, *inner = source.relative_to(seed).parts
        copy, made = source, 0
        for s in range(sequences):
            folder = root.joinpath(kind, f"{s:04d}", *inner[:-1])
            folder.mkdir(parents=True, exist_ok=True)
            for t in range(steps):
                if made % NAMES == 0:
                    copy = source.with_name(f"{made}-{source.name}")
                    copy.write_bytes(source.read_bytes())
                os.link(copy, folder / f"{t:08d}{source.suffix}")
                made += 1
    return root
