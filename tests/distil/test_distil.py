"""A whole distillation on a made collection with tiny random models: what it leaves, says, and does when killed."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from limbeck.cli import app
from limbeck.collections import load_collection
from limbeck.core.errors import DataError, UsageError
from limbeck.core.files import locked
from limbeck.distil import budget, drive, rates
from limbeck.distil.budget import DistilSettings
from limbeck.distil.queries import find_candidates, run_file, teachings_of
from limbeck.distil.recommend import FIRST_STAGE, STUDENT, TEACHER, System, mean
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import Run, read_run
from limbeck.runs.metadata import metadata_path
from limbeck.study.config.study import load_study

Distil = Callable[..., dict[str, Any]]
SYSTEM = ("parts", "weights", "chosen_by")


@pytest.fixture
def distil(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distil:
    """Distil the collection of a folder in a few steps, into `out`."""

    def slow(*_: object) -> float:
        return 10.0  # pairs or documents a second: then a minute is a few hundred pairs

    for name in ("embedding_rate", "training_rate", "scoring_rate"):
        monkeypatch.setattr(rates, name, slow)
    monkeypatch.setattr(drive, "_costs", lambda plan, *_: {FIRST_STAGE: 0.0, TEACHER: 1.0, STUDENT: 2.0})

    def run(collection: Path, console: Console | None = None, **settings: Any) -> dict[str, Any]:
        model = str(workshop / "bert")
        given = {"minutes": 2.5, "depth": 10, "teacher": model, "student": model, **settings}
        return drive.distil(str(collection), tmp_path / "out", DistilSettings(**given), console)

    return run


def test_a_collection_becomes_a_model_and_a_recommendation_and_the_same_call_does_nothing_twice(
    workshop: Path, tmp_path: Path, distil: Distil, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(drive, "run_study", killed)
        with pytest.raises(KeyboardInterrupt):
            distil(workshop / "docs")
    plan = (tmp_path / "out" / "plan.json").read_bytes()
    with (tmp_path / "said").open("w") as file:
        facts = distil(workshop / "docs", Console(file=file, width=200))
    assert (tmp_path / "out" / "plan.json").read_bytes() == plan
    assert len(facts["systems"]) == 7
    best = facts["systems"][0]
    assert best["chosen_by"] == max(row["chosen_by"] for row in facts["systems"])
    assert facts["advice"].system in (best["system"], FIRST_STAGE)
    assert CrossEncoder.load(tmp_path / "out" / "model").rank("alba boce", ["alba", "duce boce"])
    said = (tmp_path / "said").read_text()
    assert "min  train the student" in said
    assert f"limbeck study run {tmp_path}/out/study.yaml --output {tmp_path}/out/study" in said
    collections = load_study(tmp_path / "out" / "study.yaml").config.collections
    docs = workshop / "docs"
    assert collections.test == [f"{docs}/train@1/5", f"{docs}/test"]
    own, sentences = collections.train
    assert own.startswith(f"{docs}/train@2-")
    assert sentences.startswith(f"{docs}~sentences")
    first, then = load_study(tmp_path / "out" / "study.yaml").config.recipes["Distilled"]
    assert (first.lists, first.objective, then.lists, then.objective) == (
        "sentences", "MarginMSE", "queries", "MarginMSE + InfoNCE"
    )  # fmt: skip

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained or measured again")

    monkeypatch.setattr("limbeck.study.run.tasks.train", never)
    monkeypatch.setattr(rates, "training_rate", never)
    model = str(workshop / "bert")
    options = ["--minutes", "2.5", "--depth", "10", "--teacher", model, "--student", model]
    told = CliRunner().invoke(app, ["distil", "--collection", str(docs), "--output", str(tmp_path / "out"), *options])
    assert told.exit_code == 0, told.output
    assert facts["advice"].words in " ".join(told.stdout.split())
    assert f"{best['chosen_by']:.4f}" in told.stdout
    assert json.dumps(distil(docs)["systems"]) == json.dumps(facts["systems"])
    monkeypatch.chdir(tmp_path)
    settings = DistilSettings(minutes=2.5, depth=10, teacher=model, student=model)
    kept = drive.make_plan(str(docs), tmp_path / "out", settings, Console(quiet=True))
    for row in facts["systems"]:  # each ranks as it was measured where its commands are followed
        if row["weights"]:
            for command in drive.use_of(System(**{key: row[key] for key in SYSTEM}), kept, tmp_path / "out"):
                done = CliRunner().invoke(app, shlex.split(command)[1:])
                assert done.exit_code == 0, done.output
            found = mean(load_collection(f"{docs}/test"), read_run(Path("fused.run.gz")))
            assert found == pytest.approx(row["value"], abs=1e-6), row["system"]
    with pytest.raises(UsageError, match=r"holds a distillation of .* with other settings"):
        distil(docs, seed=2)


@pytest.mark.parametrize("kept", ["queries", "documents"])
def test_without_judgments_agreement_is_told_and_nothing_is_recommended(
    workshop: Path, tmp_path: Path, distil: Distil, kept: str
) -> None:
    docs = Path(shutil.copytree(workshop / "docs", tmp_path / "docs"))
    shutil.rmtree(docs / "qrels")
    if kept == "documents":
        (docs / "queries.jsonl").unlink()
    facts = distil(docs)
    assert facts["advice"].use is None
    assert set(facts["agreement"]) == {FIRST_STAGE, STUDENT}
    assert facts["calibration"] is None
    assert (tmp_path / "out" / "model" / "config.json").is_file()
    train = load_study(tmp_path / "out" / "study.yaml").config.collections.train
    assert all("~sentences@" in name for name in train) == (kept == "documents")


@pytest.mark.parametrize(("splits", "test"), [(["train", "test"], "/test@1/2"), (["train"], "@9-10/10")])
def test_a_share_of_the_test_queries_is_planned_kept_and_studied(
    workshop: Path, tmp_path: Path, distil: Distil, monkeypatch: pytest.MonkeyPatch, splits: list[str], test: str
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    docs = Path(shutil.copytree(workshop / "docs", tmp_path / "docs"))
    for path in (docs / "qrels").iterdir():
        if path.stem not in splits:
            path.unlink()
    monkeypatch.setattr(budget, "share_of_test", lambda *_: 2)
    monkeypatch.setattr(drive, "run_study", stopped)
    with pytest.raises(KeyboardInterrupt):
        distil(docs)
    study = load_study(tmp_path / "out" / "study.yaml").config
    assert study.collections.test[1] == f"{docs}{test}"
    run = tmp_path / "out" / run_file("test", f"{docs}{test}", 10)
    assert set(read_run(run)) == set(load_collection(f"{docs}{test}").query_ids)
    assert metadata_path(run).is_file()


def test_queries_that_share_no_word_with_the_documents_are_refused(
    workshop: Path, tmp_path: Path, distil: Distil
) -> None:
    docs = Path(shutil.copytree(workshop / "docs", tmp_path / "docs"))
    lines = [json.dumps({"_id": f"q{n}", "text": "zephyr"}) for n in range(80)]
    (docs / "queries.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"BM25 finds no document for any of 10 queries; expected queries that share"):
        distil(docs)


def test_one_distillation_at_a_time_writes_into_a_folder_and_none_into_something_else(
    workshop: Path, tmp_path: Path, distil: Distil
) -> None:
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out" / ".lock"), pytest.raises(UsageError, match=r"process \d+ on .*, distils there"):
        distil(workshop / "docs")
    (tmp_path / "out" / "plan.json").write_text("{}")  # a training's
    (tmp_path / "out" / "model").mkdir()
    with pytest.raises(UsageError, match=r"holds no distillation \(there is model\)"):
        distil(workshop / "docs")
    with pytest.raises(UsageError, match="seed is -1"):
        distil(workshop / "docs", seed=-1)


def test_few_sentences_are_not_shared_out_to_nothing(workshop: Path, tmp_path: Path) -> None:
    names = (f"{workshop}/docs/train", f"{workshop}/docs~sentences")
    taught = find_candidates({"train-1": names[0], "train-2": names[1]}, tmp_path, 10, Console(quiet=True))
    found = teachings_of(names, taught, frozenset(), frozenset())
    assert found[-1].share == found[-1].sentences == 0
    assert all(each.sentences >= budget.LISTS_PER_STEP for each in found[:-1])
    asked = [(each.depth, each.sentences, each.documents) for each in found]
    assert asked == sorted(asked, reverse=True)
    few = {"train-1": taught["train-1"], "train-2": Run("few", dict(list(taught["train-2"].items())[:3]))}
    assert [each.share for each in teachings_of(names, few, frozenset(), frozenset())] == [0]


def test_candidates_of_other_queries_or_depth_are_never_taken_for_these() -> None:
    names = {
        run_file("train-1", name, depth) for name in ("docs/train@2-3/5", "docs/train@2-5/5") for depth in (10, 30)
    }
    assert len(names) == 4
