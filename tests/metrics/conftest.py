from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def numbers():
    """The golden numbers that travel with the tests."""
    with np.load(ROOT / "tests" / "golden" / "freihand.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}
