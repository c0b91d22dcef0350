"""The fingerprint of lists, column by column, so that it costs seconds for millions of lists."""

import hashlib
from collections.abc import Mapping

import pyarrow as pa


class Fingerprint:
    """sha256 over ids and signals of lists, in their order. Metadata cannot change an outcome and is left out."""

    def __init__(self) -> None:
        self._streams: dict[str, hashlib._Hash] = {}

    def add(self, columns: Mapping[str, pa.Array]) -> None:
        """Lists that follow those before: `query_id`, `passage_ids` and signals, as they are stored."""
        for name, column in columns.items():
            self._add(name, column)

    def _add(self, name: str, column: pa.Array) -> None:
        if pa.types.is_list(column.type):
            self._update(f"{name} lengths", column.value_lengths().cast(pa.int32()))
            self._add(f"{name} values", column.flatten())
        elif pa.types.is_string(column.type):
            # Lengths and bytes each in a stream of its own: no text can pass for the end of another.
            self._update(f"{name} bytes", pa.compute.binary_length(column).cast(pa.int32()))
            offsets = memoryview(column.buffers()[1]).cast("i")
            first, last = offsets[column.offset], offsets[column.offset + len(column)]
            self._stream(f"{name} text").update(memoryview(column.buffers()[2] or b"")[first:last])
        else:
            self._update(name, column.cast(pa.float32()))

    def _update(self, stream: str, numbers: pa.Array) -> None:
        values = numbers.to_numpy()
        self._stream(stream).update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())

    def _stream(self, name: str) -> "hashlib._Hash":
        return self._streams.setdefault(name, hashlib.sha256())

    def __str__(self) -> str:
        """16 hex digits."""
        lines = [f"{name} {digest.hexdigest()}\n" for name, digest in sorted(self._streams.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
