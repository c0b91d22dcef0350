"""First stages, from a collection to a run: what one is to the rest of limbeck, and the kinds there are."""

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any, Protocol

from limbeck.collections import Collection
from limbeck.core.errors import UsageError, nearest
from limbeck.retrieval.bm25 import BM25
from limbeck.retrieval.dense import Dense
from limbeck.retrieval.splade import Splade
from limbeck.runs import Run

__all__ = ["BM25", "KINDS", "Dense", "Retriever", "Splade", "make_retriever"]


class Retriever(Protocol):
    """Ranks a collection's documents: a frozen dataclass of the settings that decide its run.

    Its `str` is what reports say of it. A field called `model` names what is loaded, by folder, Hub id or package.
    """

    def retrieve(self, collection: Collection, depth: int = 100, progress: bool = True) -> Run:
        """The best `depth` documents for each of the collection's `query_ids`; the same input gives the same run."""


KINDS: dict[str, type[Retriever]] = {"bm25": BM25, "splade": Splade, "dense": Dense}
"""Kind, as the study file and `limbeck retrieve` call it → its class. Runs that are given, and fusions of them, are no
retrievers: they search nothing."""


def make_retriever(kind: str, settings: Mapping[str, Any]) -> Retriever:
    """A retriever of one of `KINDS`. UsageError for settings that it lacks, does not have or refuses."""
    parameters = signature(KINDS[kind]).parameters
    for name in settings:
        if name not in parameters:
            raise UsageError(f"{kind}: no setting {name}; expected {', '.join(parameters)}{nearest(name, parameters)}")
    for name, parameter in parameters.items():
        if parameter.default is Parameter.empty and name not in settings:
            raise UsageError(f"{kind}: {name} is missing")
    return KINDS[kind](**settings)
