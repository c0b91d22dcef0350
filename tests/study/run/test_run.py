import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import limbeck.study.run.tasks as execution
import limbeck.training.loop as loop
from limbeck.collections import load_collection
from limbeck.core.errors import MissingError, UsageError
from limbeck.core.lease import Lease, take
from limbeck.evaluation import measure_run, rerank
from limbeck.lists import read_lists
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import read_run
from limbeck.study.analysis.gather import gather
from limbeck.study.config.study import load_study
from limbeck.study.run.execute import run_study
from limbeck.study.run.executors import Here
from limbeck.study.run.graph import Node
from limbeck.study.run.status import status
from limbeck.study.run.store import Store
from limbeck.study.run.work import Workshop


@pytest.fixture
def output(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study's output, to be changed at will."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


def times(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def changed(folder: Path, before: dict[str, int]) -> set[str]:
    after = times(folder)
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_every_cell_is_finished_and_evaluated(finished: Path) -> None:
    found = status(finished)
    assert found["counts"] == {"done": 4, "failed": 0, "blocked": 0, "running": 0, "missing": 0}
    assert [(cell["step"], cell["steps"]) for cell in found["cells"]] == [(4, 4), (4, 4), (5, 5), (5, 5)]
    for cell in found["cells"]:
        folder = finished / "cells" / cell["id"]
        assert (folder / "model" / "model.safetensors").exists()
        assert json.loads((folder / "cell.json").read_text())["seed"] == cell["seed"]
        [evaluation] = (folder / "evaluations").iterdir()
        assert set(json.loads((evaluation / "values.json").read_text())["values"]) == {"nDCG@10", "RR@10"}


def test_the_two_stages_of_a_recipe_train_on_their_own_lists(finished: Path) -> None:
    cell = next(cell for cell in gather(finished).cells if cell.recipe == "TwoStage")
    assert [(stage.objective, stage.steps, stage.usable_lists) for stage in cell.training.stages] == [
        ("InfoNCE", 2, 5),
        ("RankNet", 3, 5),
    ]
    signals = {read_lists(path).signals for path in (finished / "shared" / "lists").iterdir()}
    assert signals == {frozenset({"labels"}), frozenset({"teacher_scores", "teacher_order"})}


def test_values_are_those_of_the_saved_model(finished: Path, laboratory: Path) -> None:
    cell = gather(finished).cells[0]
    [key] = Store(finished).read_index()["first_stage"]["evaluations"].values()
    candidates = read_run(Store(finished).evaluation(None, key) / "run.gz")
    collection = load_collection(str(laboratory / "mini" / "test"))
    encoder = CrossEncoder.load(finished / "cells" / cell.id / "model", max_length=20)
    found = measure_run(collection, rerank(encoder, collection, candidates, 10), ["nDCG@10", "RR@10"])
    assert cell.values["mini/test"] == {measure: found.mean(measure) for measure in found.measures}


def test_running_again_does_nothing(output: Path, laboratory: Path) -> None:
    before = times(output)
    assert run_study(load_study(laboratory / "tiny.yaml"), output) == {
        "kept": 4,
        "done": 0,
        "failed": 0,
        "elsewhere": 0,
    }
    assert changed(output, before) == set()


def test_a_study_file_of_the_user_s_own_is_not_overwritten(laboratory: Path, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("# mine\n")
    with pytest.raises(UsageError, match="is a study file that no run has put there"):
        run_study(load_study(laboratory / "tiny.yaml"), tmp_path)
    assert (tmp_path / "study.yaml").read_text() == "# mine\n"


def test_a_deleted_evaluation_is_all_that_is_made_anew(output: Path, laboratory: Path) -> None:
    before, cell = times(output), status(output)["cells"][1]["id"]
    shutil.rmtree(output / "cells" / cell / "evaluations")
    counts = run_study(load_study(laboratory / "tiny.yaml"), output)
    assert counts == {"kept": 3, "done": 1, "failed": 0, "elsewhere": 0}
    names = {name.partition("/evaluations")[0] for name in changed(output, before)}
    names = {name if name.startswith("cells/") else name.partition("/")[0] for name in names}
    assert names == {"invocations", "attempts", "logs", f"cells/{cell}", f"cells/{cell}/state.json"}


def test_another_measure_costs_no_re_ranking(
    output: Path, study_file: Callable[..., Path], tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(execution, "train")
    monkeypatch.delattr(execution, "rerank")
    tiny["evaluation"]["measures"].append("AP")
    assert run_study(load_study(study_file(tiny)), output)["done"] == 4
    assert set(gather(output).cells[0].values["mini/test"]) == {"nDCG@10", "RR@10", "AP"}


def test_a_lesser_depth_costs_no_re_ranking_and_gives_what_it_would_have_given(
    finished: Path, output: Path, tmp_path: Path, study_file: Callable[..., Path], tiny: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def runs(folder: Path) -> dict[str, Any]:
        store = Store(folder)
        return {
            cell["id"]: read_run(store.evaluation(cell["id"], cell["evaluations"]["mini/test"]) / "run.gz")
            for cell in store.read_index()["cells"]
        }

    deep, afresh = runs(finished), Path(shutil.copytree(finished, tmp_path / "afresh"))
    tiny["evaluation"]["depth"] = 4
    study = load_study(study_file(tiny))
    for folder in afresh.glob("cells/*/evaluations"):
        shutil.rmtree(folder)
    assert run_study(study, afresh)["done"] == 4
    monkeypatch.delattr(execution, "rerank")
    assert run_study(study, output)["done"] == 4
    assert gather(output).comparisons == gather(afresh).comparisons
    for cell, run in runs(output).items():
        assert {len(ranking) for ranking in run.values()} == {4}
        for query_id, ranking in run.items():
            assert ranking.docids == runs(afresh)[cell][query_id].docids
            known = dict(zip(deep[cell][query_id].docids, deep[cell][query_id].scores, strict=True))
            assert [known[docid] for docid in ranking.docids] == ranking.scores.tolist()


def test_another_test_collection_costs_no_training(
    output: Path, study_file: Callable[..., Path], tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(execution, "train")
    tiny["collections"]["test"].append("mini/train")
    assert run_study(load_study(study_file(tiny)), output)["done"] == 4
    assert set(gather(output).cells[0].values) == {"mini/test", "mini/train"}


def test_a_failing_cell_is_recorded_and_the_others_finish(
    tmp_path: Path, study_file: Callable[..., Path], tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = execution.train

    def train(plan: Any, *rest: Any, **options: Any) -> dict[str, Any]:
        if (plan.seed, len(plan.stages)) == (1, 1):
            raise MissingError("the disk is full")
        if (plan.seed, len(plan.stages)) == (2, 2):
            raise ZeroDivisionError("a fault of ours")
        return real(plan, *rest, **options)

    monkeypatch.setattr(execution, "train", train)
    study = load_study(study_file(tiny))
    assert run_study(study, tmp_path) == {"kept": 0, "done": 2, "failed": 2, "elsewhere": 0}
    cells = status(tmp_path)["cells"]
    assert [cell["state"] for cell in cells] == ["failed", "done", "done", "failed"]
    assert cells[0]["error"] == "the disk is full"
    assert "ZeroDivisionError: a fault of ours" in cells[3]["error"]
    logs = {cell["id"]: Store(tmp_path).log(cell["id"], 1) for cell in cells}
    assert f"(traceback in {logs[cells[3]['id']]})" in cells[3]["error"]
    assert "Traceback" in logs[cells[3]["id"]].read_text()
    assert "Traceback" not in logs[cells[0]["id"]].read_text()
    results = gather(tmp_path)
    assert [cell.values == {} for cell in results.cells] == [True, False, False, True]
    assert sum("failed: " in warning for warning in results.warnings) == 2
    assert [len(row.seeds) for row in results.comparisons] == [1, 1, 1, 1]

    monkeypatch.setattr(execution, "train", real)
    assert run_study(study, tmp_path) == {"kept": 2, "done": 2, "failed": 0, "elsewhere": 0}
    assert status(tmp_path)["counts"]["done"] == 4


def test_an_interrupted_study_goes_on_and_ends_as_if_nothing_had_happened(
    finished: Path, tmp_path: Path, laboratory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = execution.rerank
    monkeypatch.setattr(execution, "rerank", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    study = load_study(laboratory / "tiny.yaml")
    with pytest.raises(KeyboardInterrupt):
        run_study(study, tmp_path)
    assert status(tmp_path)["counts"] == {"done": 0, "failed": 0, "blocked": 0, "running": 0, "missing": 4}
    monkeypatch.setattr(execution, "rerank", real)
    assert run_study(study, tmp_path)["done"] == 4
    ours, theirs = gather(tmp_path), gather(finished)
    assert ours.comparisons == theirs.comparisons


def test_a_cell_that_another_process_runs_is_left_to_it(output: Path, laboratory: Path) -> None:
    store, cell = Store(output), status(output)["cells"][0]["id"]
    (output / "cells" / cell / "summary.json").unlink()
    lease = take(store.attempts, cell, {})
    assert isinstance(lease, Lease)
    with lease:
        assert status(output)["cells"][0]["state"] == "running"
        counts = run_study(load_study(laboratory / "tiny.yaml"), output)
        lease.end("stopped")
    assert counts == {"kept": 3, "done": 0, "failed": 0, "elsewhere": 1}
    assert status(output)["cells"][0]["state"] == "missing"


def test_cells_of_two_studies_that_are_equal_are_trained_once(
    output: Path, study_file: Callable[..., Path], tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(execution, "train")
    tiny["name"] = "another"
    tiny["recipes"] = {"Same": tiny["recipes"]["BCE"], "Again": tiny["recipes"]["BCE"]}
    assert run_study(load_study(study_file(tiny)), output) == {"kept": 4, "done": 0, "failed": 0, "elsewhere": 0}
    results = gather(output)
    assert results.name == "another"
    assert {cell.recipe for cell in results.cells} == {"Same", "Again"}
    assert results.pairwise[0].difference == 0


def test_progress_names_each_cell_with_its_measures(
    tmp_path: Path, study_file: Callable[..., Path], tiny: dict
) -> None:
    tiny["seeds"] = [5]
    del tiny["validation"], tiny["recipes"]["TwoStage"]
    console = Console(record=True, width=40, file=(tmp_path / "console").open("w"))
    run_study(load_study(study_file(tiny)), tmp_path / "out", console)
    lines = console.export_text().splitlines()
    assert "[1/1] bert-1 · BCE · seed 5: started" in lines
    assert any(line.startswith("[1/1] bert-1 · BCE · seed 5: nDCG@10 mini/test 0.") for line in lines)


def test_the_evaluations_of_a_cell_are_made_between_two_looks_at_the_files(
    output: Path, study_file: Callable[..., Path], tiny: dict
) -> None:
    handed: list[int] = []

    class Counting(Here):
        def start(self, nodes: Sequence[Node], begin: Callable[[Node], None]) -> bool:
            handed.append(len(nodes))
            return super().start(nodes, begin)

    tiny["collections"]["test"] = ["mini/test", "mini/test@1/2", "mini/test@2/2"]
    study = load_study(study_file(tiny))
    counts = run_study(study, output, executor=lambda graph, store, out: Counting(Workshop(graph, store, study), out))
    assert counts["done"] == 4
    # Of 18 nodes that are not done, the eight evaluations of four cells take four starts.
    assert max(handed) >= 8
    assert len(handed) <= 18 - 4


def test_several_training_collections_are_one(tmp_path: Path, study_file: Callable[..., Path], tiny: dict) -> None:
    tiny["collections"]["train"] = ["mini/train@1/2", "mini/train@2/2"]
    tiny["seeds"] = [1]
    assert run_study(load_study(study_file(tiny)), tmp_path)["done"] == 2
    assert [stage.usable_lists for stage in gather(tmp_path).cells[1].training.stages] == [5, 5]


def test_a_first_stage_that_two_recipes_share_is_trained_once(
    finished: Path, tmp_path: Path, study_file: Callable[..., Path], tiny: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, real = [], loop.backward

    def backward(*args: Any, **options: Any) -> Any:
        steps.append(1)
        return real(*args, **options)

    monkeypatch.setattr(loop, "backward", backward)
    first, second = tiny["recipes"]["TwoStage"]
    tiny["seeds"] = [1]
    tiny["recipes"] = {"First": [first], "Both": [first, second], "Other": [first, {**second, "objective": "ADR-MSE"}]}
    assert run_study(load_study(study_file(tiny)), tmp_path)["done"] == 3
    assert len(steps) == 2 + 3 + 3
    assert not (tmp_path / "shared" / "prefixes").exists()
    assert status(tmp_path)["node_counts"].keys() == {"done"}
    results, store = gather(tmp_path), Store(tmp_path)
    cells = {cell.recipe: cell for cell in results.cells}
    assert results.seconds > sum(store.state(cell.id)["seconds"] for cell in results.cells)  # the prefix's are added
    alone = next(cell for cell in gather(finished).cells if (cell.recipe, cell.seed) == ("TwoStage", 1))
    assert cells["Both"].values == alone.values
    weights = [folder / "cells" / alone.id / "model" / "model.safetensors" for folder in (tmp_path, finished)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_list_source_may_take_some_of_the_training_collections(
    tmp_path: Path, study_file: Callable[..., Path], tiny: dict
) -> None:
    tiny["collections"]["train"] = ["mini/train", "mini~sentences"]
    tiny["lists"]["judged"]["collections"] = "mini/train"
    tiny["seeds"] = [1]
    assert run_study(load_study(study_file(tiny)), tmp_path)["done"] == 2
    # The tiny collection's documents are one sentence each.
    assert [stage.usable_lists for stage in gather(tmp_path).cells[1].training.stages] == [5, 5 + 24]


def test_training_leaves_the_global_random_state_alone(tmp_path: Path, laboratory: Path, finished: Path) -> None:
    before = torch.random.get_rng_state()
    output = shutil.copytree(finished, tmp_path / "out")
    shutil.rmtree(output / "cells")
    run_study(load_study(laboratory / "tiny.yaml"), output)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_folder_without_a_study_is_missing(tmp_path: Path) -> None:
    for read in (gather, status):
        with pytest.raises(MissingError, match="holds no study"):
            read(tmp_path)
