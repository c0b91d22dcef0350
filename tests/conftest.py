import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real collections, or a skip where this checkout has none beside it."""
    folder = Path(os.environ.get("LIMBECK_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "scifact").is_dir():
        pytest.skip(f"no real collections in {folder}; set LIMBECK_TEST_DATA to their folder")
    return folder
