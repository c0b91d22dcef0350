"""Collections: documents, queries and judgments, wherever they come from."""

from limbeck.collections.collection import Collection
from limbeck.collections.load import load_collection

__all__ = ["Collection", "load_collection"]
