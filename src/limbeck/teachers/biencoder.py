"""A bi-encoder as teacher: the cosine of query and passage, with every embedding kept by the content of its text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import DataError
from limbeck.core.files import atomic_write
from limbeck.core.json_files import key_of
from limbeck.core.progress import bar, say
from limbeck.models.bi_encoder import BiEncoder
from limbeck.runs import Run
from limbeck.tokens.store import cache_folder

PART = 512  # texts embedded together and then kept: what a kill loses
FORMAT = 1
Embeddings = NDArray[np.float32]


def biencoder_scores(
    encoder: BiEncoder, collection: Collection, run: Run, scale: float = 1.0, console: Console | None = None
) -> dict[str, NDArray[np.float32]]:
    """As `BiEncoder.score`, by `keeping_embeddings`: of a deeper run, or of more queries, only what is new is embedded.

    Raises what that does, and DataError for a text that is not there.
    """
    return encoder.score(collection, run, scale, embed=keeping_embeddings(encoder, console))


def keeping_embeddings(
    encoder: BiEncoder, console: Console | None = None
) -> Callable[[str, Sequence[str]], Embeddings]:
    """What embeds texts that are each a "query" or a "document", of length 1: float32 [texts, dimension].

    Embeddings are in limbeck's cache, whatever collection a text is of: only texts that were not embedded before are.
    Killed, the same call goes on. With a `console`, progress is shown on it.

    Raises, when texts are embedded:
        DataError: an embedding that is no number; a part of the cache that is damaged.
        MissingError: a part cannot be written, as on a full disk.
    """

    def embed(kind: str, texts: Sequence[str]) -> Embeddings:
        prompt = encoder.layout.prompts[kind]
        identity = {**encoder.identity, "max_length": encoder.max_length, "prompt": prompt, "normalise": True}
        kept = KeptEmbeddings(cache_folder() / "embedded" / key_of([FORMAT, identity], 16), encoder.dimension)
        noun = "queries" if kind == "query" else "documents"
        found = kept.of(texts, lambda part: encoder.encode(part, prompt=prompt), f"Embed {noun}", console)
        if console:
            encoder.cuts.say(f"{encoder.name}, {encoder.max_length} tokens", console)
        return found

    return embed


@dataclass(frozen=True)
class KeptEmbeddings:
    """Embeddings [texts, dimension] in a folder of parts, each named by its texts: several processes may write."""

    folder: Path
    dimension: int

    def of(
        self, texts: Sequence[str], embed: Callable[[list[str]], Embeddings], doing: str, console: Console | None = None
    ) -> Embeddings:
        """Embeddings of texts, float32 [texts, dimension], in their order; `embed` makes what is not kept yet."""
        row = {_hash(text): number for number, text in enumerate(texts)}  # of equal texts the last one's
        found = np.empty((len(texts), self.dimension), np.float32)
        missing = dict(zip(row, (texts[number] for number in row.values()), strict=True))
        for path in sorted(self.folder.glob("*.npz")):
            hashes, load = self._open(path)
            wanted = [(place, row[each]) for place, each in enumerate(hashes) if each in missing]
            if wanted:
                places, rows = zip(*wanted, strict=True)
                found[list(rows)] = load()[list(places)]
                for place in places:
                    missing.pop(hashes[place], None)
        if missing and len(missing) < len(row) and console:
            kept = len(row) - len(missing)
            say(console, f"{doing}: {kept:,} of {len(row):,} are there already")
        with bar(console, doing, len(missing)) as advance:
            for part in _parts(list(missing.items())):
                embeddings = embed([text for _, text in part])
                if not np.isfinite(embeddings).all():
                    raise DataError(f"{doing}: the model gives NaN or infinity for a text; expected numbers")
                self._write([each for each, _ in part], embeddings)
                found[[row[each] for each, _ in part]] = embeddings
                advance(len(part))
        return found[[row[_hash(text)] for text in texts]]

    def _open(self, path: Path) -> tuple[list[bytes], Callable[[], Any]]:
        """The hashes of a part's texts, and what reads their embeddings."""

        def read(name: str) -> Any:
            try:
                with np.load(path, allow_pickle=False) as part:
                    return part[name]
            except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
                raise DataError(
                    f"{path}: cannot be read ({error}); remove it, its texts are then embedded again"
                ) from None

        hashes = read("hashes")
        if hashes.dtype != np.uint8 or hashes.ndim != 2:
            raise DataError(f"{path}: holds no embeddings; remove it, its texts are then embedded again")

        def load() -> Any:
            embeddings = read("embeddings")
            if embeddings.shape != (len(hashes), self.dimension):
                raise DataError(f"{path}: {embeddings.shape} numbers; remove it, its texts are then embedded again")
            return embeddings

        return [each.tobytes() for each in hashes], load

    def _write(self, hashes: list[bytes], embeddings: Embeddings) -> None:
        with atomic_write(self.folder / f"{key_of([each.hex() for each in hashes], 16)}.npz") as stream:
            packed = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
            np.savez(stream, hashes=packed, embeddings=embeddings)


def _parts(items: list[tuple[bytes, str]]) -> Iterator[list[tuple[bytes, str]]]:
    for start in range(0, len(items), PART):
        yield items[start : start + PART]


def _hash(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
