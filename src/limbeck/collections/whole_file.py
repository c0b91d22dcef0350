"""Files that are there complete or not at all: written aside, then renamed."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path

from limbeck.errors import MissingError


@contextmanager
def whole_file(path: Path) -> Iterator[BufferedIOBase]:
    """A new file that takes the place of `path` once it is written and on disk; gzipped if the name ends in `.gz`.

    Folders on the way are made. Equal content gives equal bytes. MissingError where it cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            if path.name.endswith(".gz"):
                # No file name and no time in the gzip header.
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    yield packed
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        raise MissingError(f"{path}: cannot be written here: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            aside.unlink()
