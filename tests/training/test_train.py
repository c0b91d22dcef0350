import io
import json
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from limbeck.core.errors import UsageError
from limbeck.evaluation import measure_run, rerank
from limbeck.lists import Lists, Sample
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import names, parse
from limbeck.training import Backbone, Settings, Stage, TrainingPlan, Validation, loop, stopping, train
from limbeck.training.checkpoint import claim_output_dir
from limbeck.training.log import read_log
from limbeck.training.state import learning_rate
from limbeck.training.stopping import TrainingStopped

Plan = Callable[..., TrainingPlan]


def one_stage(lists: Lists, **changes: Any) -> tuple[Stage, ...]:
    values: dict[str, Any] = {
        "objective": parse("BCE"), "lists": lists, "sample": Sample(), "steps": 4, "lists_per_step": 2,
        "learning_rate": 0.01,
    }  # fmt: skip
    return (Stage(**{**values, **changes}),)


def test_the_saved_weights_are_those_of_the_best_validation(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, weights = iter([0.2, 0.7, 0.7, 0.5]), []

    def kept(encoder: CrossEncoder, *arguments: Any, **options: Any) -> Any:
        weights.append({name: tensor.clone() for name, tensor in encoder.model.state_dict().items()})
        return rerank(encoder, *arguments, **options)

    monkeypatch.setattr(loop, "rerank", kept)
    monkeypatch.setattr(loop, "measure_run", lambda *_: SimpleNamespace(mean=lambda _: next(values)))
    summary = train(plan(), tmp_path)
    assert (summary["best_step"], summary["best_value"], summary["steps"]) == (6, 0.7, 11)
    saved = load_file(tmp_path / "model" / "model.safetensors")
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in saved.items())
    assert any(not torch.equal(tensor, weights[2][name]) for name, tensor in saved.items())
    assert [r["best"] for r in read_log(tmp_path / "log.jsonl") if r["kind"] == "validation"] == [
        True,
        True,
        False,
        False,
    ]


def test_sets_judged_by_their_best_so_far_keep_a_checkpoint_whenever_one_of_them_rises(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_on(folder: str, **options: Any) -> tuple[int, float]:
        values = iter([0.5, 0.5, 0.1, 0.6, 0.2, 0.2, 0.6, 0.1])
        monkeypatch.setattr(loop, "measure_run", lambda *_: SimpleNamespace(mean=lambda _: next(values)))
        planned = plan()
        assert planned.validation is not None
        [(collection, run)] = planned.validation.sets
        sets = tuple((replace(collection, name=name), run) for name in "ab")
        validation = replace(planned.validation, sets=sets, **options)
        summary = train(replace(planned, validation=validation), tmp_path / folder)
        return summary["best_step"], summary["best_value"]

    assert train_on("current") == (3, 0.5)
    assert train_on("so-far", best_so_far=True) == (11, 0.6)


@pytest.mark.parametrize(
    ("objective", "scores", "warned"),
    [("MarginMSE", [0, 1], True), ("RankNet + 0.1*MarginMSE", [0.2, 0.7], True), ("MarginMSE", [-0.1, 0.9], False),
     ("MarginMSE", [0.5, 9.0], False), ("RankNet", [0, 1], False), ("ListNet", [0, 1], False)],
)  # fmt: skip
def test_margins_of_scores_between_0_and_1_are_warned_of(objective: str, scores: list[float], warned: bool) -> None:
    row = np.array(scores, np.float32)
    lists = Lists(["q"], [["a", "b"]], teacher_scores=[row], teacher_order=[row])
    [*warnings] = one_stage(lists, objective=parse(objective))[0].warnings
    assert len(warnings) == warned
    assert all(text.startswith(f"{objective}: its teacher scores lie in [0, 1]") for text in warnings)


def test_a_plans_warnings_are_printed_before_it_trains(plan: Plan, tmp_path: Path) -> None:
    lists = plan().stages[0].lists
    scores = [np.linspace(0, 1, len(row), dtype=np.float32) for row in lists.passage_ids]
    lists = replace(lists, teacher_scores=scores)
    console = Console(file=io.StringIO())
    train(plan(stages=one_stage(lists, objective=parse("MarginMSE"), steps=1)), tmp_path, console)
    assert console.file.getvalue().count("warning: MarginMSE") == 1  # type: ignore[attr-defined]


def test_the_logged_best_value_is_what_the_saved_model_reaches(plan: Plan, tmp_path: Path) -> None:
    planned = plan()
    summary = train(planned, tmp_path)
    assert planned.validation is not None
    collection, run = planned.validation.sets[0]
    ranked = rerank(CrossEncoder.load(tmp_path / "model", device="cpu"), collection, run, planned.validation.depth)
    assert measure_run(collection, ranked, ["nDCG@10"]).mean("nDCG@10") == pytest.approx(summary["best_value"])
    logged = [r["value"] for r in read_log(tmp_path / "log.jsonl") if r["kind"] == "validation"]
    assert summary["best_value"] == max(logged)


def test_training_fits_its_lists(plan: Plan, lists: Lists, tmp_path: Path) -> None:
    stages = one_stage(lists, objective=parse("InfoNCE"), steps=30, lists_per_step=5)
    train(plan(stages=stages, validation=None), tmp_path)
    losses = [record["loss"] for record in read_log(tmp_path / "log.jsonl")]
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


def test_each_stage_has_its_own_schedule_and_its_own_sampler(plan: Plan, tmp_path: Path) -> None:
    summary = train(plan(validation=None), tmp_path)
    log = read_log(tmp_path / "log.jsonl")
    expected = [learning_rate(0.01, s, 6, 0.1) for s in range(6)] + [learning_rate(0.005, s, 5, 0.1) for s in range(5)]
    assert [record["learning_rate"] for record in log] == expected
    assert (summary["best_step"], summary["best_value"], summary["measure"]) == (11, None, None)
    for number, stage in enumerate(summary["stages"]):
        records = [record for record in log if record["stage"] == number + 1]
        assert stage["pairs"] == sum(record["pairs"] for record in records)
        assert stage["tokens"] == sum(record["tokens"] for record in records)


def test_the_loss_with_an_exit_is_that_of_the_model_and_of_the_exit_s_own_and_both_learn(
    plan: Plan, lists: Lists, deeper: Path, tmp_path: Path
) -> None:
    first = {}
    for name, changes in {"whole": {}, "shallow": {"layers": 1}, "both": {"exits": (1,)}}.items():
        backbone = Backbone(model=str(deeper), max_length=28, dropout=0.0, **changes)
        train(plan(backbone=backbone, stages=one_stage(lists), validation=None), tmp_path / name)
        first[name] = read_log(tmp_path / name / "log.jsonl")[0]
    for key in ("loss", "equal_loss"):
        assert first["both"][key] == pytest.approx(first["whole"][key] + first["shallow"][key], rel=1e-5)
    before = CrossEncoder.load(deeper, new_head=True, layers=1, seed=plan().seed, device="cpu").model.state_dict()
    after = load_file(tmp_path / "both" / "exits" / "1" / "model.safetensors")
    assert not any(torch.equal(after[name], before[name]) for name in ("classifier.weight", "bert.pooler.dense.weight"))


def test_training_leaves_the_random_state_of_its_caller_alone(plan: Plan, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train(plan(), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_steps_read_ahead_in_a_thread_and_deterministic_operations_change_no_byte(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(plan(), tmp_path / "plain")
    read_ahead, threads = loop.ahead, set()

    def as_on_cuda(make: Callable[[int], Any], items: Iterable[int], _: torch.device) -> Any:
        def made(item: int) -> Any:
            threads.add(threading.current_thread().name)
            return make(item)

        return read_ahead(made, items, torch.device("cuda", 0))

    monkeypatch.setattr(loop, "ahead", as_on_cuda)
    settings = replace(plan().settings, deterministic=True)
    train(plan(settings=settings), tmp_path / "ahead")
    assert threads == {"limbeck-ahead_0"}
    assert not torch.are_deterministic_algorithms_enabled()
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("plain", "ahead")]
    assert weights[0] == weights[1]


def test_micro_batches_are_said_and_a_resumed_training_keeps_them(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(plan().settings, token_budget=None, max_tokens_without_grad_cache=None)
    planned = plan(settings=settings)

    def said(fit: tuple[int, int], stop_at: int | None = None) -> str:
        real, told = loop.backward, Console(file=StringIO(), width=200)

        def backward(*args: Any, **options: Any) -> Any:
            if options["seed"][-1] == stop_at:
                raise RuntimeError("stop")
            return real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "backward", backward)
            patch.setattr(CrossEncoder, "training_tokens", lambda *_: fit)
            with pytest.raises(RuntimeError) if stop_at else nullcontext():
                train(planned, tmp_path, told)
        return told.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    assert "micro-batches of at most 128 tokens; the graphs of at most 256" in said((128, 256), stop_at=3)
    assert "at most 128 tokens; the graphs of at most 256" in said((64_000, 64_000), stop_at=4)
    assert "128 and 256 before" in said((64, 512))


def test_bf16_trains_fp32_weights(plan: Plan, tmp_path: Path) -> None:
    settings = Settings(precision="bf16", token_budget=64, max_tokens_without_grad_cache=100)
    summary = train(plan(settings=settings), tmp_path)
    assert summary["precision"] == "bf16"
    assert all(np.isfinite(record["loss"]) for record in read_log(tmp_path / "log.jsonl") if record["kind"] == "step")
    saved = load_file(tmp_path / "model" / "model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    exact = train(plan(), tmp_path / "fp32")
    assert exact["precision"] == "fp32"
    losses = [
        [r["loss"] for r in read_log(p / "log.jsonl") if r["kind"] == "step"] for p in (tmp_path, tmp_path / "fp32")
    ]
    assert losses[0] != losses[1]
    assert losses[0][0] == pytest.approx(losses[1][0], rel=0.05)


CHANGES: dict[str, Callable[[TrainingPlan], TrainingPlan]] = {
    "seed": lambda p: replace(p, seed=2),
    "backbone": lambda p: replace(p, backbone=replace(p.backbone, max_length=20)),
    "settings": lambda p: replace(p, settings=replace(p.settings, clip=0.5)),
    "validation": lambda p: replace(p, validation=None),
    "stages": lambda p: replace(p, stages=p.stages[:1]),
    "collection": lambda p: replace(
        p, collection=replace(p.collection, documents={**p.collection.documents, "x": "y"})
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_folder_of_another_plan_is_refused_by_what_differs(change: str, plan: Plan, tmp_path: Path) -> None:
    claim_output_dir(tmp_path, plan())
    with pytest.raises(UsageError) as error:
        train(CHANGES[change](plan()), tmp_path)
    assert f"other {change};" in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_the_same_weights_in_another_place_are_the_same_plan(plan: Plan, model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.symlink_to(model)
    assert plan(backbone=Backbone(model=str(copy), max_length=28)).fingerprint == plan().fingerprint


def test_a_folder_with_a_model_and_no_plan_is_refused(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(UsageError, match=r"no plan\.json"):
        train(plan(), tmp_path)


def test_a_learning_rate_out_of_all_bounds_stops_with_step_and_remedies(
    plan: Plan, lists: Lists, tmp_path: Path
) -> None:
    stages = one_stage(lists, objective=parse("MSE"), learning_rate=1e30, steps=20)
    with pytest.raises(TrainingStopped, match=r"step \d+: the (loss|gradient norm) is (nan|inf).*learning_rate"):
        train(plan(stages=stages, validation=None), tmp_path)
    assert not (tmp_path / "model").exists()


def test_teacher_scores_out_of_all_bounds_stop_before_the_weights_are_touched(
    plan: Plan, lists: Lists, tmp_path: Path
) -> None:
    assert lists.teacher_scores is not None
    huge = replace(lists, teacher_scores=[scores * np.float32(1e38) for scores in lists.teacher_scores])
    with pytest.raises(TrainingStopped, match=r"step 1: .*teacher scores on a smaller scale"):
        train(plan(stages=one_stage(huge, objective=parse("MSE"))), tmp_path)
    assert read_log(tmp_path / "log.jsonl") == []


def test_scores_that_collapse_stop_the_training(
    plan: Plan, lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "COLLAPSED_SPREAD", float("inf"))
    monkeypatch.setattr(stopping, "COLLAPSED_STEPS", 3)
    with pytest.raises(TrainingStopped, match=r"step 3: .*same score"):
        train(plan(validation=None), tmp_path)


def test_lists_of_single_passages_are_no_collapse(
    plan: Plan, lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "COLLAPSED_STEPS", 2)
    assert train(plan(stages=one_stage(lists, sample=Sample(size=1)), validation=None), tmp_path)["steps"] == 4


@pytest.mark.parametrize("objective", [*names(), "RankNet + 0.1*InfoNCE"])
def test_an_objective_without_its_signal_is_refused_before_training(objective: str, lists: Lists) -> None:
    parsed = parse(objective)
    for signal in parsed.signals:
        with pytest.raises(UsageError, match=signal):
            one_stage(replace(lists, **{signal: None}), objective=parsed)
    without = {s: None for s in ("labels", "teacher_scores", "teacher_order") if s not in parsed.signals}
    assert one_stage(replace(lists, **without), objective=parsed)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda lists: one_stage(lists, steps=0),
        lambda lists: one_stage(lists, learning_rate=0.0),
        lambda lists: one_stage(lists, learning_rate=float("nan")),
        lambda lists: Settings(precision="fp8"),
        lambda lists: Settings(warmup=-1),
        lambda lists: Settings(clip=float("nan")),
        lambda lists: Settings(token_budget=0),
        lambda lists: Validation(sets=()),
    ],
)
def test_values_that_mean_nothing_are_refused(wrong: Callable[[Lists], object], lists: Lists) -> None:
    with pytest.raises(UsageError, match="expected"):
        wrong(lists)


def test_steps_belong_to_stages_in_turn(plan: Plan) -> None:
    planned = plan()
    places = [planned.place(step) for step in range(planned.steps)]
    assert places == [(0, n) for n in range(6)] + [(1, n) for n in range(5)]
    with pytest.raises(UsageError):
        planned.place(11)


def test_the_plan_and_summary_on_disk_are_plain_json(plan: Plan, tmp_path: Path) -> None:
    summary = train(plan(), tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert json.loads((tmp_path / "plan.json").read_text()) == json.loads(json.dumps(plan().describe()))


def test_each_stage_begins_with_a_fresh_optimizer(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = torch.optim.AdamW.step, []

    def step(self: Any, *rest: Any) -> Any:
        seen.append(len(self.state) == 0)
        return real(self, *rest)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    train(plan(validation=None), tmp_path)
    assert [number for number, fresh in enumerate(seen) if fresh] == [0, 6]
