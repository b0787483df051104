"""Video from end to end: sequences of up to 72 frames, as DexYCB's own are."""

from __future__ import annotations

import pytest

from handbench.synth.layout import Size
from tests.video_chain import assert_the_table_is_right, run_chain

pytestmark = pytest.mark.proof

# ten sequences, and four more: the first of the test split that is of a right hand
SIZE = Size(sequences=14, frames=72, cameras=2)


def test_the_chain_at_full_length(handbench, home, keep):
    chain = run_chain(handbench, home, SIZE, ("train.epochs=3",))
    keep(
        "video-chain",
        {
            "what": "deformer tiny on synthetic DexYCB: samples by covered share, as found and by the renderer",
            "found": {name: bucket["n"] for name, bucket in chain.record["per_bucket"].items()},
            "renderer": chain.exact,
            "commands": [line.replace(str(home.parent), ".") for line in chain.typed],
            "table": chain.table.splitlines(),
        },
    )
    assert_the_table_is_right(chain, SIZE.cameras)
