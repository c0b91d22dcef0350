"""A collection's texts as one encoder reads them: token stores on disk, made once per tokeniser."""

from limbeck.collections import Collection
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.tokens.pairs import Pairs
from limbeck.tokens.store import TokenStore, cache_folder


def collection_pairs(encoder: CrossEncoder, collection: Collection) -> Pairs:
    """Pairs of a collection's queries and documents; their tokens are shared by all processes of this user."""
    folder, name = cache_folder() / "tokens", collection.texts_fingerprint
    queries, documents = (
        TokenStore.cached(folder, f"{kind}-{name}", texts, encoder.tokenizer, f"Tokenise {kind}")
        for kind, texts in (("queries", collection.queries), ("documents", collection.documents))
    )
    return encoder.pairs(queries, documents)
