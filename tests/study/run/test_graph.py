"""The graph of a study, work on its nodes one by one, and what is seen of it."""

import io
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from limbeck.core.errors import DataError, UsageError
from limbeck.core.lease import Lease, take
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import read_run
from limbeck.study.analysis.provenance import provenance
from limbeck.study.config.study import load_study
from limbeck.study.run.build_graph import prepare
from limbeck.study.run.execute import run_study
from limbeck.study.run.executors import Here, executor_of
from limbeck.study.run.executors.slurm import Slurm
from limbeck.study.run.graph import Graph, Node, read_graph
from limbeck.study.run.status import NodeStates, State, status
from limbeck.study.run.store import Store
from limbeck.study.run.work import Outcome, Workshop

Write = Callable[..., Path]
QUIET = Console(quiet=True)


def kinds(graph: Graph) -> list[str]:
    return [node.kind for node in graph.nodes]


def test_every_node_stands_behind_what_it_needs_and_shared_work_is_there_once(finished: Path) -> None:
    graph = read_graph(Store(finished))
    seen: set[str] = set()
    for node in graph.nodes:
        assert set(node.needs) <= seen, node.name
        seen.add(node.name)
    assert {kind: kinds(graph).count(kind) for kind in set(kinds(graph))} == {
        "run": 3, "teach": 1, "lists": 2, "leaks": 3, "cell": 4, "evaluate": 6,
    }  # fmt: skip
    assert len({node.key for node in graph.nodes}) == len(graph.nodes)
    ids = {node.key for node in graph.nodes if node.kind == "cell"}
    assert not [node.label for node in graph.nodes if any(key in node.label for key in ids)], (
        "nobody knows cells by ids"
    )
    [cell, *_] = (node for node in graph.nodes if node.kind == "cell" and node.task["recipe"] == "TwoStage")
    assert sorted(need.partition("/")[0] for need in cell.needs) == ["lists", "lists", "run"]


def test_resources_are_the_kind_s_own_before_the_default_s(
    study_file: Write, tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["compute"] = {"default": {"gpus": 1, "cpus": 8, "memory": "64G"}, "run": {"gpus": 0}, "cell": {"processes": 2}}
    tiny["compute"]["flops_per_second"] = 1e9
    graph = prepare(load_study(study_file(tiny)), Store(tmp_path), QUIET)
    of = {node.kind: node.resources for node in graph.nodes}
    assert (of["run"].gpus, of["cell"].gpus, of["run"].memory, of["cell"].processes) == (0, 1, "64G", 2)
    known = [node.hours for node in graph.nodes if node.hours is not None]
    assert {node.kind for node in graph.nodes if node.hours is not None} == {"cell", "evaluate"}
    assert status(tmp_path)["hours_left"] == pytest.approx(sum(known))


def test_the_index_says_how_tests_are_measured(study_file: Write, tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["collections"] |= {"own_document": "keep", "relevance": 2}
    prepare(load_study(study_file(tiny)), Store(tmp_path), QUIET)
    index = Store(tmp_path).read_index()
    [test] = index["collections"]
    assert (index["own_document"], test["relevance_level"], test["own_document_removed"]) == ("keep", 2, False)


def test_nodes_one_by_one_in_any_order_that_their_needs_allow_end_as_one_process_does(
    study_file: Write, tiny: dict[str, Any], tmp_path: Path, finished: Path
) -> None:
    output = tmp_path / "out"
    graph = prepare(load_study(study_file(tiny)), Store(output), QUIET)
    left = list(reversed(graph.nodes))
    assert Workshop.open(output).work(left[0], QUIET) is Outcome.FAILED  # what it needs is not done
    while left:
        shop = Workshop.open(output)
        node = next(one for one in left if not any(need in {other.name for other in left} for need in one.needs))
        assert shop.work(node, QUIET) is Outcome.DONE
        left.remove(node)
    assert status(output)["counts"]["done"] == 4
    for path in finished.glob("cells/*/evaluations/*/run.gz"):
        assert (output / path.relative_to(finished)).read_bytes() == path.read_bytes()
    assert run_study(load_study(study_file(tiny)), output)["kept"] == 4


def test_a_node_that_another_holds_is_left_and_one_that_is_done_is_done(finished: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(finished, tmp_path / "out"))
    shop = Workshop.open(output)
    node = next(node for node in shop.graph.nodes if node.kind == "evaluate" and node.cell)
    assert shop.work(node, QUIET) is Outcome.DONE
    shutil.rmtree(shop.store.evaluation(node.cell, node.task["evaluation"]))
    assert NodeStates(shop.graph, shop.store).look()[node.name].state is State.DAMAGED
    held = take(shop.store.attempts, node.key, {"node": node.name})
    assert isinstance(held, Lease)
    with held:
        assert shop.work(node, QUIET) is Outcome.HELD
        found = [each for each in status(output)["nodes"] if each["name"] == node.name]
        assert [(each["state"], each["attempts"]) for each in found] == [("running", 2)]
        held.end("stopped")
    assert shop.work(node, QUIET) is Outcome.DONE


def test_what_fails_is_named_by_what_it_blocks(
    study_file: Write, tiny: dict[str, Any], tmp_path: Path, laboratory: Path
) -> None:
    (laboratory / "empty.run").write_text("nobody Q0 d1 1 1.0 x\n")
    tiny["lists"]["judged"] = {"format": "run", "path": "empty.run", "labels": "qrels", "sample": {}}
    assert run_study(load_study(study_file(tiny)), tmp_path)["failed"] == 4
    found = status(tmp_path)
    assert found["counts"]["blocked"] == 4
    assert all("lists/" in cell["error"] for cell in found["cells"])
    [failed] = [node for node in found["nodes"] if node["state"] == "failed"]
    assert failed["label"] == "lists judged"
    assert failed["error"] in Path(failed["log"]).read_text()


class Deadly(Here):
    """Does nodes' work in processes that die at cells: one after another, as an engine with retries of its own does."""

    def start(self, nodes: Sequence[Node], begin: Callable[[Node], None]) -> bool:
        for node in nodes[:1]:
            if node.kind != "cell":
                return super().start([node], begin)
            begin(node)
            for _ in range(3):
                if (child := os.fork()) == 0:
                    take(self.workshop.store.attempts, node.key, {"node": node.name})
                    os.kill(os.getpid(), signal.SIGKILL)
                os.waitpid(child, 0)
        return bool(nodes)


def test_a_node_whose_process_dies_is_tried_four_times_also_where_its_executor_tries_by_itself(
    study_file: Write, tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["recipes"], tiny["seeds"] = {"BCE": tiny["recipes"]["BCE"]}, 1
    study = load_study(study_file(tiny))
    counts = run_study(study, tmp_path, executor=lambda graph, store, said: Deadly(Workshop.open(store.folder), said))
    assert counts["failed"] == 1
    [cell] = (node for node in read_graph(Store(tmp_path)).nodes if node.kind == "cell")
    assert (
        len(list(tmp_path.glob(f"attempts/*/{cell.key}.*.json"))) == 6
    )  # three of the first start, three of the second
    assert status(tmp_path)["node_counts"]["died"] == 1
    assert run_study(study, tmp_path)["done"] == 1  # asked again, it is tried again


def hold_at_most(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device on which no micro-batch of more tokens can be trained on."""
    whole = CrossEncoder.forward

    def forward(self: CrossEncoder, batch: dict[str, Any]) -> torch.Tensor:
        if not torch.is_inference_mode_enabled() and batch["input_ids"].numel() > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(self, batch)

    monkeypatch.setattr(CrossEncoder, "forward", forward)


def scores(output: Path) -> dict[str, dict[str, float]]:
    """What the only cell gives each candidate. Not its weights: some, such as keys' biases, change no score."""
    [run] = output.glob("cells/*/evaluations/*/run.gz")
    return {query_id: dict(zip(each.docids, each.scores, strict=True)) for query_id, each in read_run(run).items()}


def test_where_memory_runs_out_a_training_is_tried_again_with_half_the_token_budget_and_ends_equal_to_rounding(
    study_file: Write, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny["recipes"], tiny["seeds"] = {"BCE": tiny["recipes"]["BCE"]}, 1
    tiny["backbones"]["bert-1"]["dropout"] = 0.0
    del tiny["validation"], tiny["teachers"], tiny["lists"]["taught"]
    tiny["optimizer"] = {"token_budget": 160, "checkpoint_every": 1}
    study = load_study(study_file(tiny))
    run_study(study, tmp_path / "ample")
    hold_at_most(50, monkeypatch)
    said = Console(file=io.StringIO(), width=300)
    assert run_study(study, tmp_path / "short", said)["done"] == 1
    [cell] = (node for node in read_graph(Store(tmp_path / "short")).nodes if node.kind == "cell")
    records = [json.loads(path.read_text()) for path in sorted(tmp_path.glob(f"short/attempts/*/{cell.key}.*.json"))]
    assert [(each["status"], each["halvings"]) for each in records] == [("died", 0), ("died", 1), ("done", 2)]
    text = said.file.getvalue()
    assert text.count("memory ran out, it is tried again, with half the token budget") == 2, text
    assert "1/4 of the token budget, as memory ran out" in text
    for query_id, theirs in scores(tmp_path / "ample").items():
        assert scores(tmp_path / "short")[query_id] == pytest.approx(theirs, rel=1e-4)
    # With a device that holds nothing, it fails, and says for want of what.
    hold_at_most(0, monkeypatch)
    assert run_study(study, tmp_path / "none")["failed"] == 1
    [failed] = (node for node in status(tmp_path / "none")["nodes"] if node["state"] == "failed")
    assert failed["attempts"] == 4
    assert failed["error"].startswith("memory ran out, 4 times; give it a device with more")


def test_slurm_s_arrays_wait_for_one_another_task_by_task_where_they_can(
    study_file: Write, tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["compute"] = {"default": {"cpus": 2, "memory": "4G", "hours": 1.5, "partition": "ir"}, "cell": {"gpus": 1}}
    store = Store(tmp_path)
    graph = prepare(load_study(study_file(tiny)), store, QUIET)
    slurm = Slurm(graph, store, QUIET, dry=True)
    begun: list[Node] = []
    slurm.start(graph.nodes, begun.append)
    assert {node.name for node in begun} == set(graph.by_name)
    cells = [script for script in slurm.scripts if "--gpus-per-node=1" in script]
    assert len(cells) == 2  # of each recipe, whose lists are its own
    for script in cells:
        assert all(
            f"#SBATCH --{line}\n" in script for line in ("array=0-1", "requeue", "time=90", "partition=ir", "mem=4G")
        )
        assert "#SBATCH --dependency=afterok:" in script
    assert sum("dependency=aftercorr:" in script for script in slurm.scripts) == 2
    assert all("#SBATCH --signal=B:USR1@180\n" in script for script in slurm.scripts)
    assert not subprocess.run(["bash", "-n"], input="\n".join(slurm.scripts), text=True, check=False).returncode
    assert slurm.jobs.keys() == graph.by_name.keys()
    assert len(set(slurm.jobs.values())) == len(graph.nodes)
    assert not (tmp_path / "slurm").exists()  # a dry run leaves nothing that a driver could take for submitted


def test_that_slurm_does_not_answer_is_told_once_a_minute_and_all_counts_as_queued(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sbatch", "squeue"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'slurm_load_jobs error: no controller' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    store, said = Store(finished), io.StringIO()
    slurm = Slurm(read_graph(store), store, Console(file=said, width=200))
    for _ in range(2):
        assert slurm.at_work() == set(slurm.graph.by_name)
    assert said.getvalue().count("squeue does not answer (slurm_load_jobs error: no controller)") == 1


@pytest.mark.parametrize("on", ["locally", "local:0", "local:x", "slurm:x", "kubernetes"])
def test_an_executor_that_is_none_is_said(on: str) -> None:
    with pytest.raises(UsageError, match="expected local, local:N"):
        executor_of(on)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("values.json", b"\xff\xfe{}", "values.json:1: not UTF-8"),
        ("values.json", b'{"values": {}}', '"collection" is missing'),
        ("index.json", b"[]", "an array, expected an object"),
        ("index.json", b'{"name": 1', "index.json:1: not JSON"),
        ("graph.json", b'{"name": "x", "study": "y", "nodes": [{}]}', '"nodes[0].name" is missing'),
    ],
)
def test_a_damaged_file_is_named_with_its_place(
    finished: Path, tmp_path: Path, file: str, content: bytes, said: str
) -> None:
    from limbeck.study.analysis.gather import gather

    output = Path(shutil.copytree(finished, tmp_path / "out"))
    sorted(output.rglob(file))[-1].write_bytes(content)
    with pytest.raises(DataError) as caught:
        status(output) if file == "graph.json" else gather(output)
    assert said in str(caught.value)
    assert file in str(caught.value)


def test_what_a_killed_conversion_left_breaks_no_report(finished: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(finished, tmp_path / "out"))
    left = output / "shared" / "lists" / ".abc.parquet.parts"
    left.mkdir()
    (left / "state.json").write_text("{}")
    assert not [name for name in provenance(output)["files"] if ".parts" in name]
    assert json.loads((output / "graph.json").read_text())["nodes"]
