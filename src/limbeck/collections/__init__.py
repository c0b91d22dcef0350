"""Collections: documents, queries and judgments, wherever they come from."""

from limbeck.collections.collection import Collection, expand_suites, suites
from limbeck.collections.load import is_local, load_collection, load_documents, load_qrels

__all__ = ["Collection", "expand_suites", "is_local", "load_collection", "load_documents", "load_qrels", "suites"]
