from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ir_datasets
import pytest
from ir_datasets.datasets.base import Dataset
from ir_datasets.formats import TrecQrels, TsvDocs, TsvQueries
from ir_datasets.util import Download, LocalDownload, RequestsDownload

from limbeck.collections import load_collection
from limbeck.core.errors import DataError, MissingError, UsageError

Register = Callable[..., str]


class TitledDoc(NamedTuple):
    doc_id: str
    title: str
    body: str


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    """Puts a collection of local files into ir_datasets' own registry, under any id."""
    ids: list[str] = []

    def put(dataset_id: str = "limbeck-tests/tiny", handler: Any = TsvDocs, **files: str) -> str:
        texts = {"docs": "d1\tcopper pots \nd2\tglass\nd3\tworms\n", "queries": "q1\twhat\nq2\twhy\n"}
        texts |= {"qrels": "q2 0 d1 2\nq2 0 d3 0\n"} | files
        places = {}
        for kind, text in texts.items():
            path = tmp_path / dataset_id.replace("/", "-") / kind
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            places[kind] = LocalDownload(path)
        parts = [handler(places["docs"]), TsvQueries(places["queries"]), TrecQrels(places["qrels"], {})]
        kept = [part for part, kind in zip(parts, ("docs", "queries", "qrels"), strict=True) if texts[kind]]
        ir_datasets.registry.register(dataset_id, Dataset(*kept))
        ids.append(dataset_id)
        return dataset_id

    yield put
    for dataset_id in ids:
        del ir_datasets.registry._registered[dataset_id]


def test_queries_and_judgments_are_read_and_documents_looked_up(register: Register) -> None:
    collection = load_collection(register())
    assert collection.queries == {"q1": "what", "q2": "why"}
    assert collection.query_ids == ("q2",)
    assert collection.qrels == {"q2": {"d1": 2, "d3": 0}}
    assert collection.documents["d1"] == "copper pots"
    assert len(collection.documents) == 3
    assert list(collection.documents) == ["d1", "d2", "d3"]
    assert list(collection.documents.items())[1:] == [("d2", "glass"), ("d3", "worms")]
    assert "d2" in collection.documents
    assert "d9" not in collection.documents
    with pytest.raises(KeyError):
        collection.documents["d9"]


def test_documents_are_not_touched_before_they_are_needed(register: Register) -> None:
    def unavailable(_: object) -> Any:
        return TsvDocs(Download([RequestsDownload("http://127.0.0.1:9/docs.tsv", tries=1)]))

    collection = load_collection(register(handler=unavailable))
    assert len(collection.fingerprint) == 16
    with pytest.raises(MissingError, match="could not fetch or read"):
        collection.documents["d1"]


def test_documents_are_counted_without_reading_them_where_their_number_is_known(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = register()
    documents = load_collection(dataset_id).documents
    monkeypatch.setattr(ir_datasets.load(dataset_id), "docs_metadata", lambda: {"count": 8_841_823})
    assert len(documents) == 8_841_823
    assert documents["d1"] == "copper pots"  # builds ir_datasets' store, which knows better
    assert len(documents) == 3


def test_titles_and_bodies_are_joined_where_ir_datasets_has_no_default_text(register: Register) -> None:
    docs = "d1\tStills\tof copper\nd3\t\tbare\n"
    collection = load_collection(register(handler=lambda place: TsvDocs(place, doc_cls=TitledDoc), docs=docs))
    assert dict(collection.documents) == {"d1": "Stills of copper", "d3": "bare"}


def test_without_judgments_all_queries_count(register: Register) -> None:
    assert load_collection(register(qrels="")).query_ids == ("q1", "q2")


def test_folds_work_on_any_source(register: Register) -> None:
    name = register(qrels="q1 0 d1 1\nq2 0 d1 1\n")
    parts = [load_collection(f"{name}@{i}/2") for i in (1, 2)]
    assert sorted(part.query_ids for part in parts) == [("q1",), ("q2",)]
    assert parts[0].name == f"{name}@1/2"


@pytest.mark.parametrize(
    ("dataset_id", "level"),
    [
        ("msmarco-passage/trec-dl-2099/judged", 2),
        ("msmarco-passage-v2/trec-dl-2099", 2),
        ("msmarco-passage/dev/2099", 1),
        ("msmarco-document/trec-dl-2099", 1),
    ],
)
def test_trec_dl_passages_are_relevant_from_grade_two(register: Register, dataset_id: str, level: int) -> None:
    assert load_collection(register(dataset_id)).relevance_level == level


@pytest.mark.parametrize(
    ("dataset_id", "drop"), [("beir/arguana/x", True), ("beir/quora/x", True), ("beir/quorate", False)]
)
def test_arguana_and_quora_drop_the_query_itself(register: Register, dataset_id: str, drop: bool) -> None:
    assert load_collection(register(dataset_id)).drop_query_document is drop


def test_an_unknown_id_is_missing_and_names_its_neighbours() -> None:
    with pytest.raises(MissingError, match=r"Did you mean beir/scifact/test or .*Expected demo, FOLDER"):
        load_collection("beir/scifcat/test")


def test_an_id_without_queries_names_its_parts() -> None:
    with pytest.raises(UsageError, match="no queries for this id; parts of it that may: msmarco-passage/dev"):
        load_collection("msmarco-passage")


def test_an_id_without_documents_is_refused(register: Register) -> None:
    with pytest.raises(UsageError, match="no documents for this id"):
        load_collection(register(handler=lambda _: None))


def test_a_failed_download_says_what_was_tried(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    name = register()
    addresses = ["http://127.0.0.1:9/queries.tsv", "http://127.0.0.1:9/mirror.tsv"]

    def put_queries(count: int) -> None:
        sources = Download([RequestsDownload(address, tries=1) for address in addresses[:count]])
        dataset = Dataset(TsvQueries(sources), ir_datasets.registry._registered[name])
        monkeypatch.setitem(ir_datasets.registry._registered, name, dataset)

    put_queries(1)
    with pytest.raises(MissingError, match=r"Tried http://127\.0\.0\.1:9/queries\.tsv: ConnectionError"):
        load_collection(name)
    put_queries(2)
    with pytest.raises(
        MissingError, match=r"queries\.tsv.*ConnectionError.*; .*mirror\.tsv.*ir-datasets\.com/limbeck-te"
    ):
        load_collection(name)


def test_judgments_that_disagree_count_by_the_higher_grade(register: Register) -> None:
    collection = load_collection(register(qrels="q2 0 d1 2\nq2 0 d1 1\nq2 0 d2 1\nq2 0 d2 1\n"))
    assert collection.qrels == {"q2": {"d1": 2, "d2": 1}}
    assert "1 judgments disagree with an earlier one" in collection.warnings[0]


def test_judged_queries_without_text_are_left_out_and_counted(register: Register) -> None:
    collection = load_collection(register(qrels="q2 0 d1 2\nq7 0 d1 1\n"))
    assert set(collection.qrels) == {"q2"}
    assert "1 judged queries have no text" in collection.warnings[0]


def test_judgments_of_unknown_queries_only_are_refused(register: Register) -> None:
    with pytest.raises(DataError, match="none of its 1 judged queries"):
        load_collection(register(qrels="q7 0 d1 1\n"))


def test_the_fingerprint_follows_id_and_judgments_and_not_the_split_s_name(register: Register) -> None:
    one = load_collection(register("limbeck-tests/one"))
    again = load_collection("limbeck-tests/one")
    other = load_collection(register("limbeck-tests/two", qrels="q2 0 d1 1\nq2 0 d3 0\n"))
    assert one.fingerprint == again.fingerprint != other.fingerprint
