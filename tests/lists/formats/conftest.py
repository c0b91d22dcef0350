import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limbeck.collections.text_files import START, Position
from limbeck.core.errors import DataError
from limbeck.lists.formats import RawList, find_format

Read = Callable[..., list[RawList]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of lines, gzipped where its name says so, or of Parquet columns."""

    def make(name: str, *lines: str, **columns: list[Any]) -> Path:
        path = tmp_path / name
        content = "".join(f"{line}\n" for line in lines).encode()
        if columns:
            pq.write_table(pa.table(columns), path, row_group_size=2)
        else:
            path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return make


@pytest.fixture
def read() -> Iterator[Read]:
    """All rows of a file. Reading again from any row's place must give that row and those after it."""

    def rows(name: str, path: Path) -> list[RawList]:
        form = find_format(name)
        found = list(form.read(path, START))
        for number, row in enumerate(found):
            assert list(form.read(path, row.place)) == found[number:]
        return found

    return rows


@pytest.fixture
def refusal() -> Callable[[str, Path], str]:
    """What reading a file is refused with."""

    def text(name: str, path: Path) -> str:
        with pytest.raises(DataError) as caught:
            list(find_format(name).read(path, Position()))
        return str(caught.value)

    return text
