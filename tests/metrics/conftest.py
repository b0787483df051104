import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def golden():
    """A loader of the full golden files; the test is skipped, saying so, where they are absent."""
    folder = Path(os.environ.get("HANDBENCH_GOLDENS", ROOT.parent / "shared" / "goldens"))

    def read(name: str) -> dict[str, np.ndarray]:
        path = folder / f"shared_{name}.npz"
        if not path.exists():
            pytest.skip(f"no golden values at {path} (HANDBENCH_GOLDENS)")
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}

    return read


@pytest.fixture(scope="session")
def numbers():
    """The golden numbers that travel with the tests."""
    with np.load(ROOT / "tests" / "golden" / "freihand.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}
