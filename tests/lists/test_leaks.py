from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.lists import Lists, close_in_meaning, distinct_queries, document_leaks, query_leaks, without_queries
from limbeck.lists.leaks import positives

LONG = "the aspirin given after surgery lowers the risk of thrombosis in most patients"
TEST = Collection(
    name="test",
    documents={
        "a": "A limbeck is an old still.",
        "b": "Copper boils at 2562 degrees Celsius, far above the melting point of iron or of glass.",
        "c": "Nothing to do with it.",
        "d": "Half relevant.",
    },
    queries={"t1": "what is a limbeck", "t2": LONG, "t3": "when does copper boil", "t4": "of another split"},
    qrels={"t1": {"a": 2, "c": 0, "d": 1}, "t2": {"b": 3, "gone": 2}, "t3": {"b": 2}},
    query_ids=("t1", "t2", "t3"),
    relevance_level=2,
)
QUERIES = {
    "q1": "What is a LIMBECK?",
    "q2": LONG.replace("surgery", "operation"),
    "q3": "how are cathedrals built",
    "q4": "of another split",
    "q5": "  what is a   limbeck!",
}


def test_planted_queries_are_found_and_no_other() -> None:
    [found] = query_leaks([*QUERIES, "no text"], QUERIES, [TEST])
    assert [(leak.id, leak.of, leak.same) for leak in found.leaks] == [
        ("q1", "t1", True),
        ("q5", "t1", True),
        ("q2", "t2", False),
    ]
    counts = found.counts(examples=1)
    assert (counts.searched, counts.against, counts.without_text) == (5, 3, 1)
    assert (counts.exact, counts.near, counts.leaking) == (1, 1, 3)
    assert counts.share == pytest.approx(2 / 3)
    assert [example.text for example in counts.examples] == [QUERIES["q1"], QUERIES["q2"]]
    assert counts.examples[0].of_text == "what is a limbeck"


def test_a_test_query_seen_both_ways_counts_as_the_same_once() -> None:
    [found] = query_leaks(["x", "y"], {"x": LONG, "y": LONG.replace("most", "some")}, [TEST])
    assert (found.exact, found.near) == ({"t2"}, set())


def test_positives_are_searched_for_documents_relevant_in_the_test() -> None:
    texts = {
        "p0": "a limbeck is an OLD still",
        "p1": "Nothing to do with it.",
        "p2": "Half relevant.",
        "p3": TEST.documents["b"].replace("glass", "brass"),
        "n0": TEST.documents["a"],
    }
    lists = Lists(
        ["q1", "q3"],
        [["p0", "n0", "p1"], ["p2", "p3"]],
        labels=[np.array([1, 0, 1]), np.array([1, 2])],
    )
    [found] = document_leaks(positives(lists), texts, [TEST])
    assert [(leak.id, leak.of, leak.same) for leak in found.leaks] == [("p0", "a", True), ("p3", "b", False)]
    assert len(found.against) == 2
    assert found.without_text == 1


def test_without_labels_the_teachers_first_passages_are_positives() -> None:
    order = [np.array([1, 3, 2]), np.array([2, 1])]
    lists = Lists(["q1", "q2"], [["a", "b", "c"], ["d", "b"]], teacher_order=order)
    assert positives(lists) == ["b", "d"]
    assert positives(Lists(["q1"], [["a", "b"]])) == []
    assert positives(Lists([], [], labels=[])) == []


def test_lists_without_the_leaking_queries_keep_the_rest_as_it_is(make_lists: Callable[..., Lists]) -> None:
    lists = make_lists([1.0, 0.0], [0.0, 1.0], [1.0, 0.0, 0.0], metadata={"collection": "x"})
    clean = without_queries(lists, {"q1"})
    assert distinct_queries(clean) == ["q0", "q2"]
    assert clean[1].passage_ids == lists[2].passage_ids
    assert clean[1].labels.tolist() == [1, 0, 0]
    assert clean.metadata == {"collection": "x", "left_out_as_leaks": "lists: 1, queries: 1"}


def test_all_lists_of_a_leaking_query_are_left_out() -> None:
    lists = Lists(["q1", "q2", "q1"], [["a"], ["b"], ["c"]])
    assert len(without_queries(lists, {"q1"})) == 1
    assert distinct_queries(lists) == ["q1", "q2"]


def test_a_test_without_judgments_is_searched_by_all_its_queries() -> None:
    unjudged = Collection("x", {}, TEST.queries, {}, tuple(TEST.queries))
    [found] = query_leaks(QUERIES, QUERIES, [unjudged])
    assert found.exact == {"t1", "t4"}
    [found] = document_leaks(["p"], {"p": "text"}, [unjudged])
    assert found.counts(1).share == 0


def test_tests_searched_together_have_each_its_own_leaks() -> None:
    other = Collection("other", {"a": "x"}, {"t1": "how are cathedrals built?", "t2": "y"}, {}, ("t1", "t2"))
    first, second = query_leaks(QUERIES, QUERIES, [TEST, other])
    assert first == query_leaks(QUERIES, QUERIES, [TEST])[0]
    assert [(leak.id, leak.of) for leak in second.leaks] == [("q3", "t1")]
    assert query_leaks(QUERIES, QUERIES, []) == []


def test_a_text_that_is_close_in_meaning_only_counts_apart_from_the_same_words_and_nearly_so() -> None:
    directions = {
        "what is a limbeck": 0.0, "What is a LIMBECK?": 0.0, LONG: 90.0, QUERIES["q2"]: 88.0,
        "when does copper boil": 180.0, "the boiling point of copper": 190.0, "how are cathedrals built": 203.0,
    }  # fmt: skip

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        angles = np.radians([directions[text] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    queries = {
        "q3": "how are cathedrals built", "q1": "What is a LIMBECK?", "q2": QUERIES["q2"],
        "q9": "the boiling point of copper",
    }  # fmt: skip
    overlaps = query_leaks(queries, queries, [TEST])
    [found] = close_in_meaning(overlaps, embed, 0.95, examples=5)
    assert (found.close, found.share) == (1, pytest.approx(1 / 3))
    [example] = found.examples
    assert (example.id, example.of, example.likeness, example.same) == ("q9", "t3", 0.985, False)
    assert close_in_meaning(overlaps, embed, 0.99, examples=5)[0].close == 0
    with pytest.raises(UsageError, match="0 to 1"):
        close_in_meaning(overlaps, embed, 1.5, examples=5)


def test_the_closest_text_is_found_in_whatever_block_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.lists.leaks.BLOCK", 7)
    draw = np.random.default_rng(0)
    table = draw.normal(size=(60, 8)).astype(np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    texts = {f"p{number}": f"{number:x} of the lists, quite another text than {number**3}" for number in range(50)}
    tests = {f"t{number}": f"{number**5} is what this one asks" for number in range(10)}
    rows = {text: table[row] for row, text in enumerate([*texts.values(), *tests.values()])}
    overlaps = query_leaks(texts, texts, [Collection("x", {}, tests, {}, tuple(tests))])
    [found] = close_in_meaning(overlaps, lambda some: np.stack([rows[text] for text in some]), 0.0, examples=10)
    best = (table[50:] @ table[:50].T).argmax(1)
    assert {(each.of, each.id) for each in found.examples} == {(f"t{row}", f"p{best[row]}") for row in range(10)}
