"""Which hand model a run is built on: MANO, or the synthetic hand where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from handbench import places
from handbench.errors import MissingError
from handbench.hands.mano import HandModel, load_hand_model
from handbench.layouts.mark import OFFICIAL
from handbench.synth.hand import synthetic_hand

Choice = Literal["auto", "mano", "synthetic"]


def choose_hand(choice: Choice, data: Mapping[str, Any], needed: bool = True) -> HandModel:
    """The right hand's model for training on data with this meta.

    `auto`: the model that the data were made with, else MANO; the synthetic hand for synthetic data, and for a method
    that needs none. Raises MissingError where MANO is needed and is not there: the synthetic hand does not take its
    place unasked.
    """
    path, synthetic = places.hand_model_file("right"), synthetic_hand("right")
    made_with = data.get("hand_model")
    if choice == "synthetic" or (choice == "auto" and made_with == synthetic.digest()):
        return synthetic
    if path.exists():
        return load_hand_model(path)
    if choice == "auto" and (data.get("source") != OFFICIAL or not needed):
        return synthetic
    raise MissingError(
        f"There is no MANO model at {path}, which the method is built on.",
        "`handbench prep mano MANO_RIGHT.pkl` writes it; `--hand synthetic` takes handbench's own hand, and says so.",
    )
