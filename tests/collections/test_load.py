from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.collections import Collection, load_collection
from limbeck.collections.load import Folds, keep_folds, split_folds
from limbeck.core.errors import MissingError, UsageError


def small(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.tsv").write_text("d1\tone\n")
    (folder / "queries.tsv").write_text("".join(f"q{i}\twhat\n" for i in range(10)))
    (folder / "qrels" / "dev.tsv").write_text("".join(f"q{i} 0 d1 1\n" for i in range(10)))
    return folder


def test_a_collection_is_named_as_the_user_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small(tmp_path / "mine").parent)
    for name in ("mine", "mine/", "mine/dev", "./mine", "mine@1/5", "mine/dev@1-2/5"):
        assert load_collection(name).name == name


def test_folds_apply_to_the_split(tmp_path: Path) -> None:
    folder = small(tmp_path / "mine")
    assert [len(load_collection(f"{folder}/dev@{fold}/4").query_ids) for fold in ("1", "2", "3", "4", "1-4")] == [
        3, 3, 2, 2, 10,
    ]  # fmt: skip


def test_the_queries_of_another_split_can_be_left_out(tmp_path: Path) -> None:
    folder = small(tmp_path / "mine")
    (folder / "qrels" / "small.tsv").write_text("q0 0 d1 1\nq9 0 d1 1\nq7 0 d1 1\n")
    left = load_collection(f"{folder}/dev~without:{folder}/small")
    assert left.query_ids == ("q1", "q2", "q3", "q4", "q5", "q6", "q8")
    assert set(left.qrels) == set(left.query_ids)
    folds = [load_collection(f"{folder}/dev~without:{folder}/small@{fold}/2").query_ids for fold in (1, 2)]
    assert sorted(folds[0] + folds[1]) == list(left.query_ids)
    with pytest.raises(UsageError, match="all of its 3 queries are in"):
        load_collection(f"{folder}/small~without:{folder}/dev")


def test_a_folder_that_exists_is_never_taken_for_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cranfield").mkdir()
    with pytest.raises(MissingError, match="cranfield: no corpus in this folder"):
        load_collection("cranfield")


def test_a_home_folder_may_be_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(tmp_path / "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load_collection("~/mine").documents) == 1


@pytest.mark.parametrize("name", ["/nope/here", "./nope", "~nobody-of-that-name/x"])
def test_a_path_that_is_not_there_is_missing(name: str) -> None:
    with pytest.raises(MissingError, match="no such folder"):
        load_collection(name)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        load_collection("")


def collection_of(query_ids: list[str]) -> Collection:
    queries = dict.fromkeys(query_ids, "text")
    return Collection("c", {"d": "text"}, queries, {query_id: {"d": 1} for query_id in query_ids}, tuple(query_ids))


@pytest.mark.parametrize(
    ("name", "base", "chosen", "count"),
    [
        ("demo@1/5", "demo", {1}, 5),
        ("a/b@2-5/5", "a/b", {2, 3, 4, 5}, 5),
        ("c@1,3-5/5", "c", {1, 3, 4, 5}, 5),
        ("a@b/c@1/1", "a@b/c", {1}, 1),
    ],
)
def test_the_suffix_names_folds(name: str, base: str, chosen: set[int], count: int) -> None:
    assert split_folds(name) == (base, Folds(frozenset(chosen), count))


@pytest.mark.parametrize("name", ["demo", "data@home/test", "a/b@1", "@1/5"])
def test_other_names_have_no_folds(name: str) -> None:
    assert split_folds(name) == (name, None)


@pytest.mark.parametrize("name", ["c@0/5", "c@6/5", "c@3-2/5", "c@1-/5", "c@,/5", "c@1/0", "c@1/x", "c@1/", "c@1-6/5"])
def test_folds_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="expected @FOLDS/N"):
        split_folds(name)


@given(st.sets(st.text("abcdef0123456789", min_size=1), min_size=5, max_size=60), st.integers(1, 5))
def test_folds_part_the_queries_evenly(query_ids: set[str], count: int) -> None:
    collection = collection_of(sorted(query_ids))
    folds = [keep_folds(collection, Folds(frozenset({i}), count)).query_ids for i in range(1, count + 1)]
    assert sorted(query_id for fold in folds for query_id in fold) == list(collection.query_ids)
    assert max(map(len, folds)) - min(map(len, folds)) <= 1


def test_folds_do_not_depend_on_the_order_of_queries() -> None:
    query_ids = [str(i) for i in range(40)]
    folds = Folds(frozenset({2}), 4)
    one = keep_folds(collection_of(query_ids), folds)
    other = keep_folds(collection_of(query_ids[::-1]), folds)
    assert set(one.query_ids) == set(other.query_ids)
    assert other.query_ids == tuple(reversed(one.query_ids))


def test_folds_stay_what_they_are() -> None:
    query_ids = [f"q{i}" for i in range(10)]
    assert keep_folds(collection_of(query_ids), Folds(frozenset({1}), 5)).query_ids == ("q3", "q7")


def test_judgments_follow_their_queries_and_the_rest_stays() -> None:
    collection = replace(collection_of(["a", "b", "c"]), relevance_level=2, warnings=("w",))
    kept = keep_folds(collection, Folds(frozenset({1, 3}), 3))
    assert len(kept.query_ids) == 2
    assert set(kept.qrels) == set(kept.query_ids)
    assert kept.queries == collection.queries
    assert kept.documents is collection.documents
    assert (kept.relevance_level, kept.warnings) == (2, ("w",))
    assert kept.fingerprint != collection.fingerprint


def test_folds_without_queries_are_refused() -> None:
    with pytest.raises(UsageError, match="no query is left in the chosen folds of 3: there are 2 queries"):
        keep_folds(collection_of(["a", "b"]), Folds(frozenset({3}), 3))
