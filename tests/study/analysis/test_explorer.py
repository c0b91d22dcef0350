import json
import shutil
from pathlib import Path

from limbeck.runs import read_run
from limbeck.study.analysis.explorer import choose_queries, explore
from limbeck.study.run.store import Store


def test_the_explorer_holds_every_systems_best_passages_with_grades_and_values(finished: Path) -> None:
    found = explore(finished)
    names = [(system["kind"], system["name"], system["seed"]) for system in found["systems"]]
    assert names == [
        ("first stage", "bm25", None), ("teacher", "bert", None), ("recipe", "BCE", 1), ("recipe", "TwoStage", 1),
    ]  # fmt: skip
    [collection] = found["collections"]
    assert (collection["name"], collection["total"], len(collection["queries"])) == ("mini/test", 4, 4)
    store = Store(finished)
    index = store.read_index()
    cell = next(cell for cell in index["cells"] if cell["recipe"] == "TwoStage")
    folder = store.evaluation(cell["id"], cell["evaluations"]["mini/test"])
    run, values = read_run(folder / "run.gz"), json.loads((folder / "values.json").read_text())["values"]["nDCG@10"]
    for query in collection["queries"]:
        ranked = [query["documents"][place]["id"] for place in query["rankings"][3]]
        assert ranked == list(run[query["id"]].docids[:10])
        assert query["values"][3] == round(values[query["id"]], 4)
        assert {document["grade"] for document in query["documents"]} - {None}
        assert all(document["text"] for document in query["documents"])
    assert read_run(folder / "head.gz") == run.cut(10)
    spreads = [max(query["values"]) - min(query["values"]) for query in collection["queries"]]
    assert spreads == sorted(spreads, reverse=True)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_queries_on_which_systems_differ_most_are_chosen() -> None:
    values = [{"a": 0.5, "b": 0.1, "c": 0.9, "d": 0.5}, {"a": 0.5, "b": 0.9, "c": 0.5, "d": 0.9}]
    assert choose_queries(values, 3) == ["b", "c", "d"]


def test_a_collection_that_is_gone_is_said_and_leaves_the_rest(finished: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(finished, tmp_path / "out"))
    index = json.loads((output / "index.json").read_text())
    index["collections"][0]["place"] = "/no/such/folder"
    (output / "index.json").write_text(json.dumps(index))
    found = explore(output)
    assert found["collections"] == []
    assert found["warnings"][0].startswith("no queries of mini/test can be shown: ")
