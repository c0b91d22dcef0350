"""The front door: the whole workflow from Python."""

from pathlib import Path
from typing import Any

import pytest

import limbeck as lb
from limbeck.core.errors import UsageError


def test_the_front_door_offers_its_names_and_no_others() -> None:
    assert dir(lb) == sorted(lb.__all__)
    assert all(getattr(lb, name) is not None for name in lb.__all__)
    with pytest.raises(AttributeError, match="rerrank"):
        lb.rerrank  # noqa: B018


def test_lists_are_trained_on_and_the_student_reranks(family_folder: Any, tmp_path: Path) -> None:
    collection = lb.load_collection("demo/test")
    run = lb.retrieve(collection, depth=5, k1=1.2)
    assert repr(run) == "Run(bm25: 150 queries, 750 candidates)"
    assert repr(collection).startswith("Collection(demo/test: ")
    lb.write_run(run, tmp_path / "bm25.run")
    from limbeck.lists import lists_from_run

    lists = lists_from_run(collection, run, labels=True, order=True)
    assert repr(lists).startswith("Lists(150 lists, 750 passages, ")
    assert "<td>1</td>" in lists._repr_html_()
    settings = {"max_length": 48, "lists_per_step": 2, "learning_rate": 1e-3, "warmup": 0.0, "every": 2}
    student = lb.train(
        str(family_folder("bert")),
        "RankNet",
        lists,
        collection="demo/test",
        output=str(tmp_path / "out"),
        steps=2,
        sample="size=3",
        validation={"demo/test@1/15": tmp_path / "bm25.run"},
        **settings,
    )
    assert student.max_length == 48
    again = lb.rerank(tmp_path / "out" / "model", collection, str(tmp_path / "bm25.run"), depth=5)
    assert {q: set(r.docids) for q, r in again.items()} == {q: set(r.docids) for q, r in run.items()}
    found = lb.evaluate("demo/test", again, "nDCG@10")
    assert repr(found) == f"Evaluation(rerank on demo/test: nDCG@10={found.mean('nDCG@10'):.4f}; 150 queries)"
    assert "<td>nDCG@10</td>" in found._repr_html_()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: lb.retrieve("demo", "bm52"), 'did you mean "bm25"'),
        (lambda: lb.retrieve("demo", k3=1), "k3"),
        (lambda: lb.evaluate(3, "x.run"), "collection is int; expected a Collection, or the name of one"),
        (lambda: lb.evaluate("demo", ["x.run"]), "run is list; expected a Run, or the path of a run file"),
        (lambda: lb.Study.from_dict(["name"]), "values is list; expected a mapping"),
        (lambda: lb.Study(7), "path is int"),
    ],
)
def test_what_is_of_another_type_is_told_with_what_was_expected(call: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        call()


def test_a_study_from_a_mapping_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="recipes"):
        lb.Study.from_dict({"name": "small", "backbones": {"bert-base": None}}, folder=tmp_path)
