"""Collections: documents, queries and judgments, wherever they come from."""

from limbeck.collections.collection import Collection
from limbeck.collections.load import is_local, load_collection, load_documents, load_qrels
from limbeck.collections.suites import expand_suites, suites

__all__ = ["Collection", "expand_suites", "is_local", "load_collection", "load_documents", "load_qrels", "suites"]
