"""How an executor shares out a machine's GPUs."""

from pathlib import Path

import pytest
from rich.console import Console

from limbeck.core.errors import UsageError
from limbeck.study.config.schema import Resources
from limbeck.study.run.executors.local import Local, allotted, gpus_of, variables_of
from limbeck.study.run.executors.slurm import Slurm
from limbeck.study.run.graph import Graph, Node
from limbeck.study.run.store import Store


def node(**resources: object) -> Node:
    return Node(name="cell/a", key="key", label="a cell", task={}, resources=Resources(**resources))


def test_nodes_get_whole_gpus_and_shares_that_leave_others_whole() -> None:
    free = {"0": 1.0, "1": 1.0}
    assert allotted(free, 0) == {}
    assert allotted(free, 2) == {"0": 1.0, "1": 1.0}
    assert allotted(free, 3) is None
    assert allotted({"0": 1.0, "1": 0.5}, 0.5) == {"1": 0.5}
    assert allotted({"0": 1.0, "1": 0.5}, 1) == {"0": 1.0}
    assert allotted({"0": 0.25, "1": 0.5}, 1) is None
    third = 1 - 1 / 3 - 1 / 3
    assert allotted({"0": third}, 1 / 3) == {"0": 1 / 3}


def test_a_share_is_one_processs_and_bounds_its_memory() -> None:
    assert gpus_of(node(gpus=0.5), True) == 0.5
    assert gpus_of(node(gpus=1, processes=4), True) == 4
    assert variables_of(Resources(gpus=0.5, cpus=2)) == {"OMP_NUM_THREADS": "2", "LIMBECK_GPU_SHARE": "0.5"}
    assert variables_of(Resources(gpus=1)) == {}
    with pytest.raises(UsageError, match="2 processes that train together take a GPU each"):
        gpus_of(node(gpus=0.5, processes=2), True)


@pytest.mark.parametrize("gpus", [1.5, -1, -0.5])
def test_neither_parts_beyond_a_whole_nor_less_than_none(gpus: float) -> None:
    with pytest.raises(ValueError, match="gpus"):
        Resources(gpus=gpus)


def test_as_many_nodes_run_at_a_time_as_share_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    for gpus, count in ((1, 2), (0.5, 4), (0.3, 6)):
        graph = Graph("study", "study.yaml", (node(gpus=gpus),))
        assert Local(graph, Store(tmp_path), Console(quiet=True), None).count == count


def test_slurm_gives_whole_gpus_and_says_so(tmp_path: Path) -> None:
    graph = Graph("study", "study.yaml", (node(gpus=0.5),))
    with pytest.raises(UsageError, match=r"a cell: takes 0.5 of a GPU .* expected a whole number"):
        Slurm(graph, Store(tmp_path), Console(quiet=True), dry=True)
