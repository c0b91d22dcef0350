"""Each verb, end to end, on a collection it has never seen."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import BertConfig, BertForMaskedLM
from typer.testing import Result

from limbeck import __version__
from limbeck.collections import load_collection
from limbeck.lists import read_lists, write_lists
from limbeck.runs import read_run

Limbeck = Callable[..., Result]
AsJson = Callable[..., Any]


@pytest.fixture
def runs(here: Path, limbeck: Limbeck) -> Path:
    for split in ("train", "valid", "test"):
        limbeck("retrieve", "bm25", "--collection", f"mini/{split}", "--depth", 10, "--output", f"{split}.run")
    return here


def test_retrieve_writes_a_run_of_the_splits_queries(here: Path, as_json: AsJson) -> None:
    facts = as_json("retrieve", "bm25", "--collection", "mini/test", "--depth", 5, "--output", "a.run.gz")
    run = read_run(here / "a.run.gz")
    assert sorted(run) == ["q10", "q11", "q8", "q9"]
    assert facts == {"output": "a.run.gz", "queries": 4, "candidates": 20, "queries_without": 0}
    assert all(len(ranking) == 5 for ranking in run.values())


def test_parameters_of_bm25_reach_it(here: Path, limbeck: Limbeck) -> None:
    common = ("retrieve", "bm25", "--collection", "mini/test", "--output")
    limbeck(*common, "a.run")
    limbeck(*common, "b.run", "--k1", 2.0, "--b", 0.9, "--stemmer", "none", "--stopwords", "none")
    assert read_run(here / "a.run").fingerprint != read_run(here / "b.run").fingerprint


def test_lists_are_mined_converted_and_shown(runs: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    common = ("--collection", "mini/train", "--run", "train.run", "--depth", 6, "--output")
    mined = as_json("lists", "mine", *common, "mined.parquet")
    assert (mined["path"], mined["lists"], mined["queries"]) == ("mined.parquet", 5, 5)
    assert set(mined["signals"]) == {"labels"}
    common = ("train.run", "--format", "run", "--collection", "mini/train", "--depth", 6, "--output")
    converted = as_json("lists", "convert", *common, "order.parquet")
    assert set(converted["signals"]) == {"teacher_order"}
    lists = read_lists(runs / "order.parquet")
    candidates = read_run(runs / "train.run")
    assert tuple(lists.passage_ids[0]) == candidates[lists.query_ids[0]].docids[:6]
    shown = limbeck("lists", "show", "mined.parquet", "--rows", 1).stdout
    assert "mined.parquet: 5 lists of 5 queries" in shown
    assert shown.count(" passages\n") == 1
    assert as_json("lists", "show", "mined.parquet") == mined
    assert "teacher_order" in limbeck("lists", "convert", *common, "order.parquet").stdout


def test_a_sample_of_lists_is_shown_with_its_texts_the_relevant_ones_first(runs: Path, limbeck: Limbeck) -> None:
    words = ("--collection", "mini/train", "--run", "train.run", "--depth", 12, "--output", "mined.parquet")
    assert "judged positives were added to the candidates" in limbeck("lists", "mine", *words[:5], 1, *words[6:]).stdout
    limbeck("lists", "mine", *words)
    lists, texts = read_lists(runs / "mined.parquet"), load_collection("mini/train")
    shown = limbeck("lists", "show", "mined.parquet", "--rows", 1, "--passages", 3).stdout
    first = lists[0]
    assert f"{first.query_id}: {len(first)} passages\n  query: {texts.queries[first.query_id]}\n" in shown
    relevant = [place for place in range(len(first)) if first.labels[place] > 0]
    assert len(relevant) == 2
    for place in relevant:
        docid = first.passage_ids[place]
        assert f"  {place + 1}. {docid}  label {first.labels[place]:g}\n     {texts.documents[docid]}\n" in shown
    assert f"  and {len(first) - 3} more, none of them relevant\n" in shown
    assert "label 0" not in shown
    assert ": 0\n" not in shown
    renamed = replace(lists, metadata={**lists.metadata, "collection": "msmarco-passage/train"})
    write_lists(renamed, "renamed.parquet")
    shown = limbeck("lists", "show", "renamed.parquet").stdout
    assert "Texts are not fetched unasked; to see them: --collection msmarco-passage/train" in shown
    assert (
        texts.queries[first.query_id]
        in limbeck("lists", "show", "renamed.parquet", "--collection", "mini/train").stdout
    )


def test_published_files_are_converted_by_their_formats_name(here: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    (here / "scores.tsv").write_text("2.5\t-1\tq1\td1\td2\n3\t0\tq1\td1\td3\n")
    words = ("lists", "convert", "scores.tsv", "--format", "hofstaetter", "--output", "lists.parquet")
    facts = as_json(*words)
    assert (facts["path"], facts["lists"], facts["passages"]) == ("lists.parquet", 2, 4)
    assert facts["signals"]["teacher_scores"] == {"min": -1, "max": 3}
    assert facts["fingerprint"] == as_json("lists", "show", "lists.parquet")["fingerprint"]
    assert "lists.parquet: 2 lists, 4 passages\n  labels: 0 to 1" in limbeck(*words).stdout
    only = as_json(*words, "--signal", "teacher_scores", "--depth", 1)
    assert (set(only["signals"]), only["passages"], only["metadata"]["depth"]) == ({"teacher_scores"}, 2, "1")
    assert 'did you mean "hofstaetter"' in limbeck(*words[:4], "hofstater", *words[5:], code=2).stderr
    assert "expected an MD5" in limbeck(*words, "--checksum", "12", code=2).stderr
    assert "its md5 is" in limbeck(*words, "--checksum", "0" * 32, code=5).stderr
    assert "absent.tsv: no such file" in limbeck(*words[:2], "absent.tsv", *words[3:], code=3).stderr
    (here / "scores.tsv").write_text("2.5\t-1\tq1\td1\td2\n3\t0\tq1\td1\n")
    assert "scores.tsv:2: 4 tab-separated columns; expected 5" in limbeck(*words, code=5).stderr


def test_a_file_of_texts_brings_its_own_collection(here: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    (here / "train.jsonl").write_text('{"query": "what boils", "pos": ["Water boils."], "neg": ["Iron melts."]}\n')
    words = ("lists", "convert", "train.jsonl", "--format", "flagembedding", "--output", "lists.parquet")
    assert "name the collection" in limbeck(*words, code=2).stderr
    facts = as_json(*words, "--texts", "own")
    assert (facts["lists"], facts["passages"], facts["metadata"]["collection"]) == (1, 2, "own")
    assert as_json(*words, "--collection", "own")["fingerprint"] == facts["fingerprint"]
    assert "both given" in limbeck(*words, "--collection", "own", "--texts", "own", code=2).stderr


def test_a_biencoder_teaches(runs: Path, as_json: AsJson, limbeck: Limbeck) -> None:
    words = ("teach", "biencoder", "--model", "dual", "--collection", "mini/train", "--run", "train.run", "--scale", 20)
    facts = as_json(*words, "--output", "taught.parquet")
    assert "teacher_scores" in facts["signals"]
    assert -20.01 <= facts["signals"]["teacher_scores"]["min"] < facts["signals"]["teacher_scores"]["max"] <= 20.01
    assert "teacher_scores" in limbeck(*words, "--output", "again.parquet").stdout
    assert read_lists(runs / "taught.parquet") == read_lists(runs / "again.parquet")
    short = as_json(*words, "--max-length", 5, "--output", "short.parquet")
    assert short["signals"] != facts["signals"]
    assert (facts["metadata"].get("max_length"), short["metadata"]["max_length"]) == (None, "5")
    told = limbeck(*words, "--max-length", 99, "--output", "long.parquet", code=2).stderr
    assert "max_length is 99, expected 1 to 24 tokens" in told


def test_train_rerank_evaluate_and_compare(runs: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    limbeck("lists", "mine", "--collection", "mini/train", "--run", "train.run", "--output", "mined.parquet")
    words: tuple[object, ...] = (
        "train", "--backbone", "bert", "--objective", "InfoNCE", "--lists", "mined.parquet", "--collection",
        "mini/train", "--steps", 4, "--lists-per-step", 2, "--sample", "positives=1, negatives=2", "--max-length", 20,
        "--learning-rate", 0.01, "--output", "out", "--validation-collection", "mini/valid", "--validation-run",
        "valid.run", "--validation-every", 2,
    )  # fmt: skip
    summary = as_json(*words)
    assert (summary["steps"], summary["pairs"]) == (4, 24)
    assert summary["best_step"] in (2, 4)
    weights = (runs / "out" / "model" / "model.safetensors").stat().st_mtime_ns
    again = limbeck(*words).stdout
    assert "4 steps" in again
    assert "best nDCG@10" in again
    assert (runs / "out" / "model" / "model.safetensors").stat().st_mtime_ns == weights
    assert "seed" in limbeck(*words, "--seed", 2, code=2).stderr

    rerank = ("rerank", "--model", "out/model", "--collection", "mini/test", "--run", "test.run", "--depth", 6)
    facts = as_json(*rerank, "--output", "new.run")
    assert facts == {
        "output": "new.run", "queries": 4, "candidates": 24, "queries_without": 0,
        "cut": {"pairs": 0, "queries": 0, "passages": 0},
    }  # fmt: skip
    before, after = read_run(runs / "test.run"), read_run(runs / "new.run")
    assert all(set(after[query].docids) == set(before[query].docids[:6]) for query in before)
    assert "24 candidates of 4 queries" in limbeck(*rerank, "--output", "new.run", "--precision", "bf16").stdout

    evaluate = ("evaluate", "--collection", "mini/test", "test.run", "new.run", "--measures", "nDCG@10", "RR@10")
    found = as_json(*evaluate, "--per-query", "values.csv")
    assert found["collection"] == "mini/test"
    assert [run["run"] for run in found["runs"]] == ["test.run", "new.run"]
    assert all(set(run["measures"]) == {"nDCG@10", "RR@10"} for run in found["runs"])
    assert all((run["queries"], run["scored"], run["missing"]) == (4, 4, []) for run in found["runs"])
    rows = list(csv.DictReader((runs / "values.csv").open()))
    values = [float(r["value"]) for r in rows if r["run"] == "new.run" and r["measure"] == "RR@10"]
    assert sum(values) / 4 == pytest.approx(found["runs"][1]["measures"]["RR@10"])
    table = limbeck(*evaluate).stdout
    assert f"{found['runs'][0]['measures']['nDCG@10']:.4f}" in table
    assert "4 judged queries" in table

    compared = as_json("compare", "--collection", "mini/test", "test.run", "new.run", "--measures", "nDCG@10")
    (row,) = compared["comparisons"]
    assert (compared["baseline"], row["run"], row["queries"]) == ("test.run", "new.run", 4)
    means = [run["measures"]["nDCG@10"] for run in found["runs"]]
    assert row["wins"] + row["ties"] + row["losses"] == 4
    assert (row["baseline"], row["mean"] - row["baseline"]) == pytest.approx((means[0], row["difference"]))
    assert 0 < row["randomisation_p"] <= 1
    assert row["models"]["corrected_p"] == row["models"]["p"]  # a family of one
    assert "Holm" in limbeck("compare", "--collection", "mini/test", "test.run", "new.run").stdout


def test_a_run_without_some_queries_counts_them_as_zero(runs: Path, as_json: AsJson) -> None:
    lines = [line for line in Path("test.run").read_text().splitlines() if not line.startswith("q8 ")]
    Path("part.run").write_text("\n".join(lines) + "\n")
    whole, part = as_json("evaluate", "--collection", "mini/test", "test.run", "part.run")["runs"]
    assert (part["queries"], part["scored"], part["missing"]) == (4, 3, ["q8"])
    assert part["measures"]["nDCG@10"] <= whole["measures"]["nDCG@10"]


def test_queries_of_another_split_are_left_out_with_a_warning(runs: Path, limbeck: Limbeck) -> None:
    Path("both.run").write_text(Path("test.run").read_text() + Path("valid.run").read_text())
    words = ("rerank", "--model", "bert", "--collection", "mini/test", "--run", "both.run", "--output", "new.run")
    assert "both.run: 3 queries not of mini/test" in limbeck(*words).stderr
    assert len(read_run(runs / "new.run")) == 4


def test_a_study_is_checked_planned_run_and_reported(here: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    check = as_json("study", "check", "tiny.yaml")
    assert (check["study"], check["valid"], check["cells"], len(check["audit"])) == ("tiny.yaml", True, 2, 1)
    shown = limbeck("study", "check", "tiny.yaml").stdout
    assert "2 cells" in shown
    assert "BCE and InfoNCE differ in nothing but their objectives" in shown
    plan = as_json("study", "plan", "tiny.yaml", "--output", "out")
    assert [cell["recipe"] for cell in plan["cells"]] == ["BCE", "InfoNCE"]
    assert "InfoNCE" in limbeck("study", "plan", "tiny.yaml", "--output", "out").stdout
    assert not (here / "out" / "cells").exists()
    first = as_json("study", "run", "tiny.yaml", "--output", "out")
    assert (here / "out" / "report").is_dir()
    assert all(Path(file).exists() for file in first["files"])
    status = as_json("study", "status", "out")
    assert [cell["state"] for cell in status["cells"]] == ["done", "done"]
    assert "2 of 2" in limbeck("study", "status", "out").stdout
    plan = as_json("study", "plan", "tiny.yaml", "--output", "out")
    assert {cell["state"] for cell in plan["cells"]} == {"done"}
    again = limbeck("study", "report", "out").stdout
    assert "InfoNCE" in again
    assert all(file in again for file in first["files"])


def test_a_study_is_planned_with_hours_and_rehearsed(here: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    plan = as_json("study", "plan", "tiny.yaml", "--flops-per-second", "1e6")
    assert plan["totals"]["hours"] > 0
    measured = as_json("study", "plan", "tiny.yaml", "--measure")
    assert measured["flops_per_second"]["bert"] > 0
    two = limbeck("study", "plan", "tiny.yaml", "--measure", "--pairs-per-second", "3", code=2)
    assert "expected one of them" in two.stderr
    found = limbeck("study", "rehearse", "tiny.yaml")
    assert "What a rehearsal cannot prove:\n  - that collections can be had" in found.stderr
    assert '"rehearsal": true' in (here / "tiny-rehearsal" / "report" / "results.json").read_text()


def test_a_study_with_a_failed_cell_is_partly_done_and_the_same_command_finishes_it(
    here: Path, limbeck: Limbeck, as_json: AsJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limbeck.study.run import tasks

    real = tasks.train

    def train(plan: Any, *rest: Any, **options: Any) -> Any:
        if "InfoNCE" in str(plan.stages[0].objective):
            raise RuntimeError("the disk is on fire")
        return real(plan, *rest, **options)

    monkeypatch.setattr(tasks, "train", train)
    result = limbeck("study", "run", "tiny.yaml", "--output", "out", code=7)
    assert "1 of 2 cells failed" in result.stderr
    cells = as_json("study", "status", "out", code=7)["cells"]
    assert [cell["state"] for cell in cells] == ["done", "failed"]
    assert "the disk is on fire" in cells[1]["error"]
    monkeypatch.setattr(tasks, "train", real)
    limbeck("study", "run", "tiny.yaml", "--output", "out")
    assert [cell["state"] for cell in as_json("study", "status", "out")["cells"]] == ["done", "done"]


def test_doctor_says_what_is_there(as_json: AsJson, limbeck: Limbeck) -> None:
    facts = as_json("doctor")
    assert facts["missing"] == []
    assert facts["packages"]["torch"]
    assert "torch" in limbeck("doctor").stdout


def test_doctor_exits_3_where_a_package_is_missing(
    as_json: AsJson, limbeck: Limbeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limbeck.cli import doctor

    monkeypatch.setattr(doctor, "PACKAGES", (*doctor.PACKAGES, "no-such-package-at-all"))
    assert as_json("doctor", code=3)["missing"] == ["no-such-package-at-all"]
    assert "pip install no-such-package-at-all" in limbeck("doctor", code=3).stdout


def test_runs_are_fused(runs: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    limbeck("retrieve", "dense", "--model", "dual", "--collection", "mini/test", "--depth", 5, "--output", "dense.run")
    facts = as_json("retrieve", "fuse", "test.run", "dense.run", "--output", "both.run", "--depth", 7)
    bm25, dense, both = (read_run(runs / f"{name}.run") for name in ("test", "dense", "both"))
    assert facts["queries"] == 4
    assert facts["candidates"] == sum(map(len, both.values())) == 28
    assert facts["queries_not_in_all_runs"] == 0
    for query, ranking in both.items():
        assert set(ranking.docids) <= {*bm25[query].docids, *dense[query].docids}
        assert ranking.scores[0] <= 2 / 61
    (runs / "part.run").write_text("q8 Q0 d1 1 2.5 x\n")
    words = ("retrieve", "fuse", "test.run", "part.run", "--output", "other.run", "--method", "interpolate")
    assert "; 3 queries not in all runs" in limbeck(*words, "--weight", 1, "--weight", 4).stdout
    assert read_run(runs / "other.run")["q8"].docids[0] == "d1"
    assert "1 weights for 2 runs" in limbeck(*words, "--weight", 1, code=2).stderr
    assert "'rrf', 'interpolate'" in limbeck(*words[:-1], "rfr", code=2).stderr


def test_first_stages_with_a_model_write_runs(here: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    words = ("--collection", "mini/test", "--depth", 5, "--output", "a.run")
    facts = as_json("retrieve", "dense", "--model", "dual", *words, "--similarity", "dot", "--max-length", 12)
    assert facts == {"output": "a.run", "queries": 4, "candidates": 20, "queries_without": 0}
    assert (
        "max_length is 99" in limbeck("retrieve", "dense", "--model", "dual", *words, "--max-length", 99, code=2).stderr
    )
    assert "similarity" in limbeck("retrieve", "dense", "--model", "dual", *words, "--similarity", "l2", code=2).stderr
    assert "absent: no such folder" in limbeck("retrieve", "dense", "--model", "./absent", *words, code=3).stderr
    # The model of this folder has no head that gives logits.
    assert "cls.predictions" in limbeck("retrieve", "splade", "--model", "bert", *words, code=2).stderr
    shutil.copytree("bert", "masked")
    BertForMaskedLM(BertConfig.from_pretrained("bert")).save_pretrained("masked")
    facts = as_json("retrieve", "splade", "--model", "masked", *words)
    assert facts["queries"] == 4
    assert read_run(here / "a.run").tag == "splade"


def test_what_is_cut_is_counted_and_its_lengths_are_options(runs: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    words = (
        "rerank",
        "--model",
        "bert",
        "--collection",
        "mini/test",
        "--run",
        "test.run",
        "--depth",
        3,
        "--output",
        "x",
    )
    assert as_json(*words)["cut"] == {"pairs": 0, "queries": 0, "passages": 0}
    facts = as_json(*words, "--query-tokens", 2, "--passage-tokens", 4)
    assert (facts["cut"]["pairs"], facts["cut"]["queries"]) == (12, 4)
    assert 3 <= facts["cut"]["passages"] <= 12
    text = limbeck(*words, "--query-tokens", 2).stdout
    assert "cut in 12 pairs: 4 queries and 0 passages (queries to 2 tokens" in text


def test_judgments_alone_are_enough(runs: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    whole = as_json("evaluate", "--collection", "mini/test", "test.run")["runs"][0]
    Path("trec.qrels").write_text(
        "".join(
            f"{query_id} 0 {docid} {grade}.0\n"
            for query_id, docid, grade in map(str.split, Path("mini/qrels/test.tsv").read_text().splitlines()[1:])
        )
    )
    for qrels in ("mini/qrels/test.tsv", "trec.qrels"):
        assert as_json("evaluate", "--qrels", qrels, "test.run")["runs"][0] == whole
    Path("deep.run").write_text(Path("test.run").read_text().replace("d1", "d2x"))
    compared = as_json("compare", "--qrels", "trec.qrels", "test.run", "deep.run")
    assert compared["collections"][0]["collection"] == "trec.qrels"
    assert "neither is given" in limbeck("evaluate", "test.run", code=2).stderr
    assert "both are given" in limbeck(
        "compare", "--qrels", "trec.qrels", "--collection", "mini/test", "test.run", "deep.run", code=2
    ).stderr  # fmt: skip


def test_the_terms_of_evaluation_are_said_and_can_be_set(runs: Path, limbeck: Limbeck, as_json: AsJson) -> None:
    words = ("evaluate", "--collection", "mini/test", "test.run", "--measures", "RR", "nDCG@10")
    assert "RR: relevant from grade 1 on" in limbeck(*words).stdout
    facts = as_json(*words, "--relevance", 2, "--own-document", "remove")["runs"][0]
    assert (facts["relevance_level"], facts["own_document"]) == (2, "remove")
    assert facts["measures"]["RR"] < as_json(*words)["runs"][0]["measures"]["RR"]
    assert "no judgment reaches grade 22, the highest is 2" in limbeck(*words, "--relevance", 22).stderr


def test_a_run_of_another_split_is_told(runs: Path, limbeck: Limbeck) -> None:
    lines = Path("test.run").read_text().splitlines()
    Path("other.run").write_text("\n".join(line for line in lines if line.startswith("q8 ")) + "\n")
    told = limbeck("evaluate", "--collection", "mini/test", "other.run").stderr
    assert "other.run: ranks only 1 of the 4 judged queries of mini/test; the others count as 0" in told


def test_a_wrong_measure_is_told_before_the_collection_is_read(here: Path, limbeck: Limbeck) -> None:
    told = limbeck("evaluate", "--collection", "absent", "absent.run", "--measures", "nDGC@10", code=2).stderr
    assert 'did you mean "nDCG"' in told


def test_a_training_s_output_names_its_model(here: Path, limbeck: Limbeck) -> None:
    limbeck("retrieve", "bm25", "--collection", "mini/test", "--depth", 3, "--output", "test.run")
    (here / "out").mkdir()
    (here / "bert").rename(here / "out" / "model")
    limbeck("rerank", "--model", "out", "--collection", "mini/test", "--run", "test.run", "--output", "new.run")


def test_no_formula_and_no_escape_reaches_a_spreadsheet_or_a_terminal(runs: Path, limbeck: Limbeck) -> None:
    Path("=1+1.run").write_bytes(Path("test.run").read_bytes())
    Path("\x1b[2Jx.run").write_bytes(Path("test.run").read_bytes())
    done = limbeck("evaluate", "--collection", "mini/test", "=1+1.run", "\x1b[2Jx.run", "--per-query", "values.csv")
    assert "\x1b" not in done.stdout
    assert "\\x1b[2Jx.run" in done.stdout
    rows = Path("values.csv").read_text().splitlines()
    assert rows[1].startswith("'=1+1.run,nDCG@10,q8,")
    assert not any("\x1b" in row for row in rows)


def test_a_run_carries_how_it_was_made_and_of_which_run(here: Path, limbeck: Limbeck) -> None:
    limbeck("retrieve", "bm25", "--collection", "mini/test", "--k1", 0.8, "--depth", 5, "--output", "first.run")
    options = ("--collection", "mini/test", "--candidates", "first.run", "--depth", 4)
    limbeck("rerank", "--model", "bert", *options, "--output", "second.run.gz")
    found = yaml.safe_load(Path("second.ir-metadata.yml").read_text())
    first, second = found["method"]["retrieval"]
    assert (first["name"], first["method"], first["k1"]) == ("first", "bm25", 0.8)
    assert (second["name"], second["reranks"], second["rerankCutoff"]) == ("second", "first", 4)
    assert found["data"]["test collection"]["name"] == "mini/test"
    assert found["platform"]["software"]["retrieval toolkit"] == [f"limbeck=={__version__}"]
    Path("first.ir-metadata.yml").write_text("method: [")
    limbeck("rerank", "--model", "bert", *options, "--output", "third.run")
    stages = yaml.safe_load(Path("third.ir-metadata.yml").read_text())["method"]["retrieval"]
    assert [stage["name"] for stage in stages] == ["first", "third"]
