"""First stages of a study: made once, kept by content, and shared with whatever names the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from limbeck.collections import load_collection
from limbeck.core.errors import MissingError
from limbeck.retrieval import BM25, Dense
from limbeck.runs import Fusion
from limbeck.study.config.study import StudyError, load_study
from limbeck.study.plan.downloads import require_models
from limbeck.study.run.artifacts import Materials
from limbeck.study.run.store import Store

STAGES = {
    "bert": {"dense": {"model": "./bert", "max_length": 12}},
    "both": {"fuse": {"stages": ["bm25", "bert"]}},
    "again": {"dense": {"model": "bert", "max_length": 12}},
    "other": {"dense": {"model": "./bert", "max_length": 12, "similarity": "dot"}},
    "weighted": {"fuse": {"stages": ["bm25", "bert"], "method": "interpolate", "weights": [1, 2]}},
}


@pytest.fixture
def materials(study_file: Callable[..., Path], tiny: dict[str, Any], tmp_path: Path) -> Materials:
    tiny["first_stages"] = STAGES
    return Materials(load_study(study_file(tiny)).sources, Store(tmp_path), Console(quiet=True))


def test_a_dense_run_is_the_retriever_s_and_a_fused_one_is_made_of_its_parts(
    materials: Materials, laboratory: Path
) -> None:
    collection = load_collection(str(laboratory / "mini" / "test"))
    dense = Dense(str(laboratory / "bert"), max_length=12).retrieve(collection, 6, progress=False)
    lexical = BM25().retrieve(collection, 6, progress=False)
    assert materials.run("bert", "mini/test", 6) == dense
    assert materials.run("both", "mini/test", 6) == Fusion().fuse([lexical, dense]).cut(6)
    weighted = Fusion("interpolate", weights=(1, 2))
    assert materials.run("weighted", "mini/test", 6) == weighted.fuse([lexical, dense]).cut(6)
    assert materials.run("weighted", "mini/test", 6).name == "weighted"


def test_runs_are_kept_by_content(materials: Materials, monkeypatch: pytest.MonkeyPatch) -> None:
    run = materials.run("both", "mini/test", 6)
    monkeypatch.delattr(Dense, "retrieve")
    monkeypatch.delattr(BM25, "retrieve")
    assert materials.run("both", "mini/test", 6) == run
    assert materials.run("again", "mini/test", 6) == materials.run("bert", "mini/test", 6)
    for other in (("other", "mini/test", 6), ("bert", "mini/valid", 6), ("bert", "mini/test", 7)):
        with pytest.raises(AttributeError, match="retrieve"):
            materials.run(*other)


def test_what_decides_a_run_is_told_by_its_description(materials: Materials) -> None:
    sources = materials.sources
    found = {name: sources.candidates(name, "mini/test") for name in STAGES}
    assert found["bert"] == found["again"]
    assert found["bert"]["dense"]["model"] == sources.weights("./bert")
    assert len({str(candidates) for candidates in found.values()}) == 4
    assert sources.stage_description("both").endswith(" of bm25, bert")
    assert sources.stage_description("bert").startswith("Dense(model=")
    assert sources.stage_description("bm25").startswith("BM25(k1=0.9")


def test_a_fused_first_stage_of_given_runs_must_cover_its_collections(
    study_file: Callable[..., Path], tiny: dict[str, Any], laboratory: Path
) -> None:
    (laboratory / "part.run").write_text("q0 Q0 d1 1 1.0 x\n")
    tiny["first_stages"] = {
        "given": {"runs": {"mini/valid": "part.run"}},
        "both": {"fuse": {"stages": ["bm25", "given"]}},
    }
    tiny["evaluation"]["first_stage"] = "both"
    tiny["validation"]["first_stage"] = "bm25"
    with pytest.raises(StudyError, match=r'evaluation.first_stage: first stage "given" has no run for mini/test'):
        load_study(study_file(tiny))


def test_models_of_first_stages_that_cannot_be_had_are_named_before_anything_runs(
    study_file: Callable[..., Path], tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    tiny["first_stages"] = {"splade": {"splade": {"model": "naver/no-such-splade"}}}
    with pytest.raises(MissingError, match="naver/no-such-splade"):
        require_models(load_study(study_file(tiny)))
