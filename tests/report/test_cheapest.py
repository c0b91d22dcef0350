"""Every outcome of the question for the cheapest model that is as good as the best, with the sentence that it gives."""

from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from typed_results import typed

from limbeck.report import print_report, summary_json, to_html, to_markdown
from limbeck.report.cheapest import state_cheapest

Results = dict[str, Any]
BENCH = "`limbeck bench OUT` measures it, and the next report has it"
SPEED = "100 passages, fp32, 2 threads"


def answer(p: float, power: float | None = 0.4) -> dict[str, Any]:
    return {"p": p, "corrected_p": p, "interval": None if power is None else [-0.011, 0.003], "power": power}


def row(backbone: str, mean: float, models: float | None, recipes: float | None) -> dict[str, Any]:
    given = {"models": models, "recipes": recipes}
    top = mean == 0.5
    answers = {name: None if p is None else answer(p, None if top else 0.4) for name, p in given.items()}
    return {"backbone": backbone, "recipe": "BCE", "mean": mean, "difference": mean - 0.5, **answers}


def study(
    make_results: Callable[..., Results], rows: list[dict[str, Any]], margin: float | None, **latencies: float
) -> Results:
    results = make_results(backbones=("minilm-3", "minilm-6"), recipes=("BCE",), collections=("scifact",))
    for backbone in results["backbones"]:
        backbone["latency_ms"] = latencies.get(backbone["name"].replace("-", "_"))
    return {**results, "margin": margin, "near_best": rows, "latency": SPEED if latencies else None}


LARGE = row("minilm-6", 0.5, 0.01, 0.01)
BOTH = {"minilm_3": 12.3, "minilm_6": 80.4}
HIGHEST = "BCE on minilm-6, which has the highest mean (0.500 nDCG@10, 80 ms a query)"
NUMBERS = "−0.004 to that one, 95 % interval −0.011 to +0.003; corrected p = "


@pytest.mark.parametrize(
    ("rows", "margin", "latencies", "sentence", "named"),
    [
        ([row("minilm-3", 0.496, 0.01, 0.03), LARGE], 0.01, BOTH,
         f"The cheapest model that is equivalent to the best within ±0.01 is BCE on minilm-3: 0.496 nDCG@10 at 12 ms a "
         f"query ({SPEED}), against {HIGHEST}; {NUMBERS}0.030 of equivalence.", "minilm-3"),
        ([row("minilm-3", 0.496, 0.01, 0.2), LARGE], 0.01, BOTH,
         f"As these models are, the cheapest that is equivalent to the best within ±0.01 is BCE on minilm-3: 0.496 "
         f"nDCG@10 at 12 ms a query ({SPEED}), against {HIGHEST}; {NUMBERS}0.010 of equivalence. That it would be "
         "after training again is not shown, p = 0.200.", "minilm-3"),
        ([row("minilm-3", 0.496, 0.01, None), LARGE], 0.01, BOTH,
         f"As these models are, the cheapest that is equivalent to the best within ±0.01 is BCE on minilm-3: 0.496 "
         f"nDCG@10 at 12 ms a query ({SPEED}), against {HIGHEST}; {NUMBERS}0.010 of equivalence. That it would be "
         "after training again is not known.", "minilm-3"),
        ([row("minilm-3", 0.496, 0.3, 0.4), LARGE], 0.01, BOTH,
         f"No model cheaper than {HIGHEST}, is shown to be equivalent to the best within ±0.01 ({SPEED}). Nearest to "
         f"it is BCE on minilm-3 at 12 ms a query: {NUMBERS}0.400 of equivalence; of a model just as good as the best, "
         "so many queries and seeds would show it with a chance of 40%.", None),
        ([row("minilm-3", 0.496, None, None), row("minilm-6", 0.5, None, None)], 0.01, BOTH,
         f"No model cheaper than {HIGHEST}, is shown to be equivalent to the best within ±0.01 ({SPEED}). Nothing is "
         "known of how far queries vary.", None),
        ([row("minilm-3", 0.496, 0.01, 0.03), LARGE], 0.01, {"minilm_3": 12.3, "minilm_6": 12.4},
         f"BCE on minilm-6 has the highest mean, 0.500 nDCG@10, and no model is cheaper than its 12 ms a query "
         f"({SPEED}).", "minilm-6"),
        ([row("minilm-3", 0.496, 0.01, 0.03), LARGE], 0.01, {"minilm_6": 80.4},
         "BCE on minilm-6 has the highest mean, 0.500 nDCG@10, and none whose latency was measured is cheaper than its "
         f"80 ms a query ({SPEED}). No latency was measured of minilm-3.", "minilm-6"),
        ([row("minilm-3", 0.496, 0.01, 0.03), LARGE], 0.01, {"minilm_3": 12.3},
         "What BCE on minilm-6, which has the highest mean (0.500 nDCG@10), costs is not known. No latency was "
         "measured of minilm-6.", None),
        ([row("minilm-3", 0.496, 0.01, 0.03), LARGE], 0.01, {},
         f"Which model is the cheapest is not known, as no latency was measured: {BENCH}. Shown to be equivalent to "
         "the best within ±0.01, as recipes: BCE on minilm-6 and BCE on minilm-3.", None),
        ([row("minilm-3", 0.496, 0.01, 0.3), row("minilm-6", 0.5, 0.01, 0.4)], 0.01, {},
         f"Which model is the cheapest is not known, as no latency was measured: {BENCH}. Shown to be equivalent to "
         "the best within ±0.01, as models, whether their recipes are or not: BCE on minilm-6 and BCE on "
         "minilm-3.", None),
        ([row("minilm-3", 0.496, 0.3, 0.3), row("minilm-6", 0.5, 0.2, 0.4)], 0.01, {},
         f"Which model is the cheapest is not known, as no latency was measured: {BENCH}. No model is shown to be "
         "equivalent to the best within ±0.01.", None),
        ([], None, BOTH,
         "Which model is the cheapest that is as good as the best is not known: the study file names no margin of "
         "equivalence (`evaluation: {margin: 0.01}`, chosen beforehand).", None),
        ([], None, {},
         "Which model is the cheapest that is as good as the best is not known: the study file names no margin of "
         "equivalence (`evaluation: {margin: 0.01}`, chosen beforehand). No latency was measured either: "
         f"{BENCH}.", None),
    ],
)  # fmt: skip
def test_every_outcome_has_its_sentence(
    rows: list[dict[str, Any]],
    margin: float | None,
    latencies: dict[str, float],
    sentence: str,
    named: str | None,
    make_results: Callable[..., Results],
) -> None:
    found = state_cheapest(typed(study(make_results, rows, margin, **latencies)))
    assert found is not None
    assert found.sentence == sentence
    assert found.backbone == named


def test_of_equally_cheap_models_the_best_is_named_and_the_mean_says_over_how_many_collections(
    make_results: Callable[..., Results],
) -> None:
    rows = [{**row("minilm-3", mean, 0.01, 0.01), "recipe": recipe} for mean, recipe in ((0.493, "A"), (0.498, "B"))]
    results = {**study(make_results, [*rows, LARGE], 0.01, **BOTH)}
    results["collections"] = [{"name": name, "documents": 9, "queries": 9} for name in ("scifact", "cranfield")]
    found = state_cheapest(typed(results))
    assert found is not None
    assert found.recipe == "B"
    assert "0.498 nDCG@10 over 2 collections at" in found.sentence


@pytest.mark.parametrize("recipes", [("BCE",), ("BCE", "InfoNCE")])
def test_a_single_backbone_leaves_no_choice(make_results: Callable[..., Results], recipes: tuple[str, ...]) -> None:
    assert state_cheapest(typed(make_results(backbones=("minilm-6",), recipes=recipes))) is None


def test_every_report_has_the_sentence(make_results: Callable[..., Results]) -> None:
    results = typed(study(make_results, [row("minilm-3", 0.496, 0.01, 0.03), LARGE], 0.01, **BOTH))
    found = state_cheapest(results)
    assert found is not None
    assert found.sentence in to_html(results)
    assert f"## Cost and quality\n\n- {found.sentence}" in to_markdown(results)
    console = Console(width=1000)
    with console.capture() as shown:
        print_report(results, console)
    assert found.sentence in shown.get()
    assert summary_json(results)["cheapest_equivalent"] == {
        "sentence": found.sentence, "backbone": "minilm-3", "recipe": "BCE", "latency_ms": 12.3,
    }  # fmt: skip
