import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from limbeck.core.errors import DataError
from limbeck.study.analysis.gather import gather
from limbeck.study.config.study import load_study
from limbeck.study.run.artifacts import Materials
from limbeck.study.run.leaks import FoundLeaks, LeakSearch, as_search, leak_warnings, planned_searches, search_leaks
from limbeck.study.run.store import Store, read_record


def searched(study_path: Path, output: Path) -> tuple[list[LeakSearch], Materials]:
    """What is found in a study's lists and validation, searched without training."""
    study = load_study(study_path)
    materials = Materials(study.sources, Store(output), Console(quiet=True))
    for kind, name in dict.fromkeys((search["kind"], search["name"]) for search in planned_searches(study)):
        with suppress(DataError):
            search_leaks(study, materials, kind, name)
    found = [
        as_search(search, read_record(materials.store.leaks(search["key"]), FoundLeaks))
        for search in planned_searches(study)
        if materials.store.leaks(search["key"]).exists()
    ]
    return found, materials


@pytest.fixture
def leaking(laboratory: Path, tmp_path: Path, tiny: dict[str, Any]) -> Path:
    """A study one of whose five training queries is a test query, and one of whose validation queries is another."""
    for name in ("mini", "bert"):
        shutil.copytree(laboratory / name, tmp_path / name)
    file = tmp_path / "mini/queries.jsonl"
    rows = {row["_id"]: row for row in map(json.loads, file.read_text().splitlines())}
    rows["q0"]["text"] = f"{rows['q9']['text'].upper()}?"
    rows["q5"]["text"] = f" {rows['q10']['text']}."
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows.values()))
    study = tmp_path / "leaking.yaml"
    study.write_text(json.dumps(tiny))
    return study


def test_test_queries_in_lists_and_validation_are_found_before_anything_is_trained(
    leaking: Path, tmp_path: Path
) -> None:
    found, _ = searched(leaking, tmp_path / "out")
    assert [(each.kind, each.name, each.queries.exact) for each in found] == [
        ("lists", "judged", 1),
        ("lists", "taught", 1),
        ("validation", "mini/valid", 1),
    ]
    example = found[0].queries.examples[0]
    assert (example.id, example.of, example.same) == ("q0", "q9", True)
    warnings = list(leak_warnings(found))
    assert warnings[0].startswith(
        "leak: 1 of 4 test queries of mini/test stand word for word in the training lists judged"
    )
    assert "validation queries of mini/valid" in warnings[2]


def test_a_search_is_made_once(leaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = searched(leaking, tmp_path / "out")
    monkeypatch.setattr(Materials, "lists", lambda *_: pytest.fail("searched again"))
    assert searched(leaking, tmp_path / "out")[0] == before


def test_other_texts_are_searched_anew(leaking: Path, tmp_path: Path) -> None:
    keys = {search["key"] for search in planned_searches(load_study(leaking))}
    file = tmp_path / "mini/queries.jsonl"
    file.write_text(file.read_text().replace("alembic", "retort"))
    assert not keys & {search["key"] for search in planned_searches(load_study(leaking))}


def test_lists_that_cannot_be_made_leave_the_other_searches(
    leaking: Path, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    (tmp_path / "empty.run").write_text("nobody Q0 d1 1 1.0 x\n")
    tiny["lists"]["judged"] = {"format": "run", "path": "empty.run", "labels": "qrels", "sample": {}}
    leaking.write_text(json.dumps(tiny))
    found, _ = searched(leaking, tmp_path / "out")
    assert [each.name for each in found] == ["taught", "mini/valid"]


def test_results_tell_of_leaks_terms_and_facts(finished: Path) -> None:
    results = gather(finished)
    assert [(leak.kind, leak.name, leak.test) for leak in results.leaks] == [
        ("lists", "judged", "mini/test"),
        ("lists", "taught", "mini/test"),
        ("validation", "mini/valid", "mini/test"),
    ]
    assert all(leak.documents.against > 0 for leak in results.leaks)
    assert results.terms == {"bert-1": {"BCE": "", "TwoStage": "†"}}
    facts = results.facts["bert-1"]["BCE"]
    assert facts["seeds"] == "1, 2"
    assert facts["pairs trained on"] == "32"
    assert facts["passages cut"].endswith("%")
    [pair] = results.audit
    assert "cannot be put down to the objective alone" in pair.sentence


def test_what_is_not_trained_yet_stands_as_planned(finished: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(finished, tmp_path / "out"))
    for cell in json.loads((output / "index.json").read_text())["cells"]:
        if cell["recipe"] == "TwoStage":
            shutil.rmtree(Store(output).cell(cell["id"]))
    facts = gather(output).facts["bert-1"]
    assert facts["BCE"]["seeds"] == "1, 2"
    assert facts["TwoStage"]["seeds"] == "1, 2 (planned)"


@pytest.mark.parametrize(
    ("damage", "place"),
    [(lambda found: found["queries"].pop("exact"), "queries.exact"), (lambda found: found.clear(), "queries")],
)
def test_a_damaged_search_is_named_with_its_key(damage: Any, place: str, finished: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(finished, tmp_path / "out"))
    path = sorted((output / "shared" / "leaks").iterdir())[0]
    found = json.loads(path.read_text())
    damage(found)
    path.write_text(json.dumps(found))
    with pytest.raises(DataError, match=rf"{path.name}: {place}: "):
        gather(output)
