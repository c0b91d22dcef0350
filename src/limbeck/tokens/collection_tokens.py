"""A collection's texts as one encoder reads them: token stores on disk, made once per tokeniser."""

from collections.abc import Callable, ItemsView, Iterator, Mapping

from limbeck.collections import Collection
from limbeck.core.hashing import key_of
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.tokens.pairs import Pairs
from limbeck.tokens.store import TokenStore, cache_folder


def collection_pairs(encoder: CrossEncoder, collection: Collection) -> Pairs:
    """Pairs of a collection's queries and documents; their tokens are shared by all processes of this user."""
    folder, name, wording = cache_folder() / "tokens", collection.texts_fingerprint, encoder.wording
    stores = []
    for kind, texts, change in (
        ("queries", collection.queries, wording.query),
        ("documents", collection.documents, wording.passage),
    ):
        # A change of the texts is part of the store's name; most models make none.
        own = "" if change("A") == "A" else f"-{key_of([wording.prompt, wording.lower_case])}"
        told = Reworded(texts, change) if own else texts
        stores.append(TokenStore.cached(folder, f"{kind}-{name}{own}", told, encoder.tokenizer, f"Tokenise {kind}"))
    return encoder.pairs(*stores)


class Reworded(Mapping[str, str]):
    """Texts by id, changed when they are asked for."""

    def __init__(self, texts: Mapping[str, str], change: Callable[[str], str]) -> None:
        self._texts, self._change = texts, change

    def __getitem__(self, text_id: str) -> str:
        return self._change(self._texts[text_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def items(self) -> ItemsView[str, str]:
        """In the texts' own order, read once."""
        return _Items(self)

    def __len__(self) -> int:
        return len(self._texts)


class _Items(ItemsView[str, str]):
    def __iter__(self) -> Iterator[tuple[str, str]]:
        texts: Reworded = self._mapping  # type: ignore[attr-defined]
        return ((text_id, texts._change(text)) for text_id, text in texts._texts.items())
