import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from limbeck.core.errors import MissingError, UsageError
from limbeck.lists import Lists, write_lists
from limbeck.study.config.study import StudyError, load_study

FAULTY = """\
name: faulty
collections: {train: mini/train, test: [mini/tset, nowhere/at-all]}
teachers:
  bert: {biencoder: ./bret}
backbones:
  bert-1: {model: ./bert, layers: 9, max_lenght: 20}
  packaged: {model: package:no-such-package/model, learning_rate: 1e-5}
lists:
  judged: {format: run, first_stage: bm52, depth: 10, labels: qrels, sample: {positives: 1}}
  taught: {format: run, first_stage: bm25, teacher: brt}
  ranked: {format: run, path: absent.run.gz, signal: order}
recipes:
  BCE: [{objective: BCEE, lists: judged, steps: 4, lists_per_step: 2}]
  Unknown: [{objective: BCE, lists: jugded, steps: 4, lists_per_step: 2, learning_rate: 1e-5}]
  Signal:
    - {objective: RankNet, lists: judged, steps: 4, lists_per_step: 2, learning_rate: 1e-5}
    - {objective: RankNet, lists: ranked, steps: four, lists_per_step: 2, learning_rate: 1e-5}
seeds: 0
optimizer: {warmup: 4, precision: bf61, clip: -1}
validation: {collections: mini/valid, measure: nDGC@10}
evaluation: {measures: [nDCG@10, RR@0], dept: 10}
evaluation: {depth: 10}
"""

EXPECTED = [
    r':2: collections.test\[0\]: .*no split "tset".*did you mean "test"',
    r":2: collections.test\[1\]: .*nowhere/at-all",
    r":4: teachers.bert.biencoder: .*bret: no such folder",
    r":6: backbones.bert-1.layers: is 9; ./bert has 2",
    r':6: backbones.bert-1.max_lenght: .*did you mean "max_length"',
    r":7: backbones.packaged.model: .*pip install no-such-package",
    r':9: lists.judged.first_stage: "bm52" .*did you mean "bm25"',
    r":9: lists.judged.sample: positives is given without negatives",
    r':10: lists.taught.teacher: "brt" .*did you mean "bert"',
    r':11: lists.ranked.path: "absent.run.gz": no such file',
    r':13: recipes.BCE\[0\].objective: unknown objective "BCEE"',
    r":13: recipes.BCE\[0\]: has no learning_rate, and neither has the backbone bert-1",
    r':14: recipes.Unknown\[0\].lists: "jugded" .*did you mean "judged"',
    r":16: recipes.Signal\[0\].objective: RankNet reads teacher_order, but lists.judged provides labels",
    r':17: recipes.Signal\[1\].steps: is "four"; expected a whole number',
    r":18: seeds: is 0; expected a number of seeds",
    r":19: optimizer.warmup: is 4 steps, .* recipes.BCE\[0\] \(4 steps\), .* or a share",
    r''':19: optimizer.precision: is "bf61"; expected 'auto', 'fp32', 'tf32', 'bf16' or 'fp16'; did you mean "bf16"''',
    r":19: optimizer.clip: is -1; expected a number ≥ 0",
    r':20: validation.measure: unknown measure "nDGC"; did you mean "nDCG"',
    r":22: evaluation: is given a second time, the first is on line 21",
]


@pytest.fixture
def problems(study_file: Callable[..., Path]) -> Callable[..., list[str]]:
    def find(study: object) -> list[str]:
        with pytest.raises(StudyError) as caught:
            load_study(study_file(study))
        return list(caught.value.problems)

    return find


def test_every_fault_of_a_file_is_named_with_its_place_and_nothing_else_is_blamed(
    problems: Callable[..., list[str]],
) -> None:
    found = problems(FAULTY)
    missing = [pattern for pattern in EXPECTED if not any(re.search(pattern, problem) for problem in found)]
    assert not missing, "\n".join(found)
    assert len(found) == len(EXPECTED), "\n".join(found)


def test_a_fault_in_a_section_does_not_hide_those_of_others(
    problems: Callable[..., list[str]], tiny: dict[str, Any]
) -> None:
    del tiny["backbones"]
    tiny["recipes"]["BCE"][0]["objective"] = "BCEE"
    found = problems(tiny)
    assert any("backbones: is missing" in text for text in found)
    assert any("BCEE" in text for text in found)
    assert len(found) == 2


def test_a_good_study_is_read_with_all_its_values(study_file: Callable[..., Path], tiny: dict[str, Any]) -> None:
    study = load_study(study_file(tiny))
    assert study.name == "tiny"
    assert study.config.seeds == [1, 2]
    assert study.config.collections.train == ["mini/train"]
    assert study.config.recipes["TwoStage"][1].epochs == 1
    assert study.config.validation is not None
    assert study.config.validation.measure == "nDCG@10"


def test_exponents_without_a_point_are_learning_rates(study_file: Callable[..., Path], tiny: dict[str, Any]) -> None:
    tiny["backbones"]["bert-1"]["learning_rate"] = "RATE"
    text = yaml.safe_dump(tiny).replace("RATE", "1e-5")
    assert load_study(study_file(text)).config.backbones["bert-1"].learning_rate == 1e-5


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda s: s["lists"]["judged"].pop("labels"), r"lists.judged: carries no signal"),
        (lambda s: s["lists"]["judged"].pop("first_stage"), r"lists.judged: names no candidates"),
        (
            lambda s: s["lists"]["judged"].update(collections=["mini/trian"]),
            r'lists.judged.collections: "mini/trian" is no training collection of this study; expected mini/train',
        ),
        (lambda s: s["backbones"]["bert-1"].update(dropout=1.0), r"dropout: is 1.0; expected a number below 1"),
        (lambda s: s["lists"]["taught"].update(sample={"positives": 1, "negatives": 1}), r"taught.sample: draws pos"),
        (lambda s: s["lists"]["taught"].update(sample={"sise": 4}), r'taught.sample.sise: .*did you mean "size"'),
        (lambda s: s["lists"]["judged"].update(format="rnu"), r'judged.format: is "rnu"; .*did you mean "run"'),
        (lambda s: s["recipes"]["BCE"][0].pop("steps"), r"recipes.BCE\[0\]: has no length; expected one of steps, ep"),
        (lambda s: s["recipes"]["BCE"][0].update(epochs=2), r"recipes.BCE\[0\]: has steps and epochs; expected one"),
        (
            lambda s: (s["lists"]["taught"].update(sample={}), s["recipes"]["TwoStage"][1].update(pairs=8)),
            r"TwoStage\[1\].pairs: are counted, but lists.taught draws no fixed number of passages \(sample: all\)",
        ),
        (lambda s: s["recipes"]["BCE"][0].pop("lists"), r"recipes.BCE\[0\].lists: is missing"),
        (lambda s: s["recipes"].update(Empty=[]), r"bert-1.model: .*no scoring head, and the recipe Empty"),
        (lambda s: s.update(seeds=[1, 1]), r"seeds\[1\]: 1 is given twice"),
        (lambda s: s.update(seeds=True), r"seeds: is True"),
        (lambda s: s["validation"].update(collections="mini/test"), r"validation.coll.*is a test collection too"),
        (lambda s: s["backbones"]["bert-1"].update(max_length=99), r"max_length: is 99; ./bert takes 24 tokens"),
        (lambda s: s["backbones"]["bert-1"].update(sha256="ffff"), r"bert-1.sha256: .*expected one that begins with"),
        (lambda s: s["backbones"]["bert-1"].update(sha256=1234), r"sha256: is 1234; expected a text, in quotes"),
        (lambda s: s.update(first_stages={"x": {}}), r"first_stages.x: is nothing; expected one of bm25, splade"),
        (lambda s: s.update(first_stages={"x": {"bm25": {}, "runs": {}}}), r"first_stages.x: is bm25 and runs; exp"),
        (lambda s: s.update(first_stages={"x": {"splade": {"model": "./bret"}}}), r"x.splade.model: .*no such folder"),
        (
            lambda s: s.update(first_stages={"x": {"dense": {"model": "./bert", "sha256": "ffff"}}}),
            r"x.dense.sha256: .*expected one that begins with",
        ),
        (lambda s: s.update(first_stages={"x": {"splade": {"max_length": 9}}}), r"x.splade.model: is missing"),
        (lambda s: s.update(first_stages={"x": {"fuse": {"stages": ["bm25"]}}}), r"x.fuse: .*at least two runs, 1 giv"),
        (
            lambda s: s.update(first_stages={"x": {"fuse": {"stages": ["bm25", "bm52"]}}}),
            r'x.fuse.stages: "bm52" is no first stage .*did you mean "bm25"',
        ),
        (
            lambda s: s.update(first_stages={"x": {"fuse": {"stages": ["bm25", "x"]}}}),
            r'x.fuse.stages: "x" is fused itself',
        ),
        (
            lambda s: s.update(first_stages={"x": {"fuse": {"stages": ["bm25", "bm25"], "weights": [1]}}}),
            r"x.fuse: .*weights are given for rrf",
        ),
        (lambda s: s.update(first_stages={"x": {"bm25": {"b": 3}}}), r"first_stages.x.bm25: .*from 0 to 1"),
        (lambda s: s.update(first_stages={"x": {"runs": {"mini": "r"}}}), r'x.runs.mini: "r": no such file'),
        (lambda s: s["collections"].update(test="mini/test@9/3"), r"collections.test.*names no folds of 3"),
        (lambda s: s["collections"].update(test=["mini/test", "mini/test"]), r"test\[1\]: .*named twice"),
        (lambda s: s["lists"]["taught"].update(corpus_negatives=5), r"taught.corpus_negatives: .*labels: qrels"),
        (lambda s: s["lists"]["judged"].update(path="x", format="limbeck"), r"judged.labels: goes with format: run"),
    ],
)  # fmt: skip
def test_each_fault_alone_is_named(
    problems: Callable[..., list[str]], change: Callable, pattern: str, tiny: dict[str, Any]
) -> None:
    change(tiny)
    found = "\n".join(problems(tiny))
    assert re.search(pattern, found), found


def test_a_first_stage_of_given_runs_must_cover_the_collections_it_is_used_on(
    problems: Callable[..., list[str]], laboratory: Path, tiny: dict[str, Any]
) -> None:
    (laboratory / "some.run").write_text("q0 Q0 d1 1 1.0 x\n")
    tiny["first_stages"] = {"given": {"runs": {"mini/valid": "some.run"}}}
    tiny["evaluation"]["first_stage"] = "given"
    [problem] = problems(tiny)
    assert 'evaluation.first_stage: first stage "given" has no run for mini/test' in problem


def test_ready_lists_provide_the_signals_that_are_in_their_file(
    problems: Callable[..., list[str]], study_file: Callable[..., Path], laboratory: Path, tiny: dict[str, Any]
) -> None:
    lists = Lists(["q0"], [["d1", "d2"]], teacher_scores=[np.array([1.0, 0.0])])
    write_lists(lists, laboratory / "ready.parquet")
    tiny["lists"]["ready"] = {"format": "limbeck", "path": "ready.parquet"}
    tiny["recipes"] = {"MSE": [{"objective": "MarginMSE", "lists": "ready", "steps": 4, "lists_per_step": 1}]}
    load_study(study_file(tiny))
    tiny["recipes"]["MSE"][0]["objective"] = "InfoNCE + MSE"
    [problem] = problems(tiny)
    assert "reads labels and teacher_scores, but lists.ready provides teacher_scores; add labels: qrels" in problem


@pytest.mark.parametrize("text", ["", "just words", "- 1", "{}", "name: [", "name: x\n"])
def test_what_is_no_study_at_all_is_one_clear_error(problems: Callable[..., list[str]], text: str) -> None:
    assert problems(text)


def test_an_absent_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"absent.yaml: no such study file"):
        load_study(tmp_path / "absent.yaml")
    with pytest.raises(UsageError, match="is a folder"):
        load_study(tmp_path)


DESIGN = """\
name: same-negatives
collections: {train: msmarco-passage/train, test: [trec-dl, beir13, lotte-search, robust04]}
backbones:
  electra-base: {model: google/electra-base-discriminator, learning_rate: 1e-5}
  ettin-150m:   {model: jhu-clsp/ettin-encoder-150m,      learning_rate: 1e-5}
lists:
  colbert500: {format: run, path: colbert.run.gz, labels: qrels, sample: {positives: 1, negatives: 7}}
  rankzephyr: {format: run, path: zephyr.run.gz, signal: order, sample: {depth: 50}}
recipes:
  BCE:     [{objective: BCE,     lists: colbert500, steps: 200000, lists_per_step: 4}]
  InfoNCE: [{objective: InfoNCE, lists: colbert500, steps: 200000, lists_per_step: 4}]
  Rank-DistiLLM:                                      # two stages
    - {objective: InfoNCE, lists: colbert500, steps: 20000, lists_per_step: 32}
    - {objective: RankNet, lists: rankzephyr, epochs: 3, lists_per_step: 32}
seeds: 3
optimizer: {warmup: 5000, clip: 1.0, precision: bf16}
validation: {collections: nanobeir, first_stage: splade-v3-distilbert, depth: 100, measure: nDCG@10, every: 5000}
evaluation: {first_stage: splade-v3-distilbert, depth: 1000, measures: [nDCG@10, RR@10, AP, Success@5]}
"""


def test_the_example_of_the_design_lacks_only_what_is_not_here(problems: Callable[..., list[str]]) -> None:
    keys = [re.sub(r"\[\d\]", "", problem.split(": ")[1]) for problem in problems(DESIGN)]
    absent = {"lists.colbert500.path", "lists.rankzephyr.path", "collections.test"}
    assert set(keys) == absent | {"validation.first_stage", "evaluation.first_stage"}
    assert keys.count("collections.test") == 1  # Robust04's documents, which are under a licence
