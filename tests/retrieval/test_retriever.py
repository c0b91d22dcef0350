"""A further kind of first stage is one class in the table: the rest of limbeck asks nothing else of it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from limbeck.collections import Collection
from limbeck.core.schema import Section
from limbeck.retrieval import KINDS, Retriever, make_retriever
from limbeck.runs import Run, rank
from limbeck.study.config.derived_sections import FirstStage
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import StudyConfig


@dataclass(frozen=True)
class Shortest:
    """A toy: the shortest documents first, whatever the query."""

    above: int = 0

    def retrieve(self, collection: Collection, depth: int = 100, progress: bool = True) -> Run:
        lengths = {docid: -len(text) for docid, text in collection.documents.items() if len(text) > self.above}
        found = rank(list(lengths), list(lengths.values())).cut(depth)
        return Run("shortest", dict.fromkeys(collection.query_ids, found))


class ShortestSection(Section):
    above: int = 0


class WithShortest(FirstStage):
    shortest: ShortestSection | None = None


def test_a_toy_retriever_takes_one_class_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "shortest", Shortest)
    config = StudyConfig.model_construct(first_stages={"mine": WithShortest(shortest=ShortestSection(above=3))})
    sources = Sources(config, tmp_path)
    retriever = sources.retriever("mine")
    assert retriever == Shortest(above=3)
    assert sources.candidates("mine", "any") == {"shortest": {"above": 3}}
    assert sources.stage_description("mine") == "Shortest(above=3)"
    collection = Collection("tiny", {"a": "long text", "b": "text", "c": "no"}, {"q": "any"}, {}, ("q",))
    assert retriever.retrieve(collection, 5)["q"].docids == ("b", "a")


def test_every_kind_is_a_section_of_the_study_file() -> None:
    assert set(KINDS) <= set(FirstStage.model_fields)
    bm25: Retriever = make_retriever("bm25", {"k1": 1.2})
    assert "k1=1.2" in str(bm25)
