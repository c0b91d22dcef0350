"""Every outcome of the two questions, with the sentence that it gives."""

from collections.abc import Callable
from typing import Any

import pytest
from typed_results import answers, typed

from limbeck.report.finding import claims_note, state_claims

Results = dict[str, Any]
SEED = "of the recipes nothing is known: no recipe has a second seed, so what other seeds would change is not known"
BOTH, LARGE = ["minilm-3", "minilm-6"], "on average over 2 backbones"


def equivalent(p: float) -> dict[str, float]:
    return {"equivalence_p": p, "corrected_equivalence_p": p}


@pytest.mark.parametrize(
    ("difference", "row", "sentence"),
    [
        (-0.03, answers(0.001, 0.004),
         f"▲ s beats r: +0.030 nDCG@10 {LARGE} [+0.010, +0.050], p = 0.004; its mean is higher on 2 of 2."),
        (0.03, answers(0.001, 0.004),
         f"▲ r beats s: +0.030 nDCG@10 {LARGE} [−0.050, −0.010], p = 0.004; its mean is higher on 0 of 2."),
        (-0.03, answers(0.001, 0.004, **equivalent(0.02)),
         f"▲ s beats r: +0.030 nDCG@10 {LARGE} [+0.010, +0.050], p = 0.004; its mean is higher on 2 of 2; yet within "
         "±0.02 (p = 0.020)."),
        (-0.03, answers(0.001, 0.3),
         f"△ These models differ, s above r: +0.030 nDCG@10 {LARGE} [+0.010, +0.050], p = 0.001; its mean is higher on "
         "2 of 2; that the recipes do is not shown, [+0.010, +0.050], p = 0.300."),
        (-0.03, answers(0.001, 0.3, **equivalent(0.02)),
         f"s and r are equivalent within ±0.02 (p = 0.020): s is ahead by +0.030 nDCG@10 {LARGE} [+0.010, +0.050], "
         "p = 0.300; its mean is higher on 2 of 2; these models do differ, [+0.010, +0.050], p = 0.001."),
        (-0.03, answers(0.3, 0.4),
         f"Not shown that s and r differ: s is ahead by +0.030 nDCG@10 {LARGE} [+0.010, +0.050], p = 0.400; its mean "
         "is higher on 2 of 2."),
        (-0.03, answers(0.3, 0.4, detectable=0.0346),
         f"Not shown that s and r differ: s is ahead by +0.030 nDCG@10 {LARGE} [+0.010, +0.050], p = 0.400; its mean "
         "is higher on 2 of 2; 0.035 or more would show (power 0.8)."),
        (-0.03, answers(0.3, 0.4, detectable=2.4),
         f"Not shown that s and r differ: s is ahead by +0.030 nDCG@10 {LARGE} [+0.010, +0.050], p = 0.400; its mean "
         "is higher on 2 of 2; with so few seeds and queries no difference would show."),
        (-0.03, answers(0.3, 0.4, **equivalent(0.02)),
         f"s and r are equivalent within ±0.02 (p = 0.020): s is ahead by +0.030 nDCG@10 {LARGE} [+0.010, +0.050], "
         "p = 0.400; its mean is higher on 2 of 2."),
        (0.0, answers(1.0, 1.0),
         "Not shown that r and s differ: their means are equal, [−0.050, −0.010], p = 1.000."),
        (-0.03, answers(0.001),
         f"△ These models differ, s above r: +0.030 nDCG@10 {LARGE} [+0.010, +0.050], p = 0.001; its mean is higher on "
         f"2 of 2; {SEED}."),
        (-0.03, answers(0.4),
         f"Not shown that these models of s and r differ: s is ahead by +0.030 nDCG@10 {LARGE} [+0.010, +0.050], "
         f"p = 0.400; its mean is higher on 2 of 2; {SEED}."),
        (-0.03, answers(0.4, **equivalent(0.01)),
         f"These models of s and r are equivalent within ±0.02 (p = 0.010): s is ahead by +0.030 nDCG@10 {LARGE} "
         f"[+0.010, +0.050], p = 0.400; its mean is higher on 2 of 2; {SEED}."),
        (-0.03, {"unknown": "a collection has a single query, which says nothing about others"},
         "s and r cannot be tested: a collection has a single query, which says nothing about others. Their means "
         f"differ by +0.030 nDCG@10 {LARGE}."),
    ],
)  # fmt: skip
def test_every_outcome_has_its_sentence(
    difference: float, row: dict[str, Any], sentence: str, make_results: Callable[..., Results]
) -> None:
    given = {
        "a": "r", "b": "s", "measure": "nDCG@10", "difference": difference, "backbones": BOTH, "ahead": [],
        "behind": BOTH, **row,
    }  # fmt: skip
    for name in ("models", "recipes"):
        if given.get(name):
            given[name] = {**given[name], "interval": [-0.05, -0.01]}
    [claim] = state_claims(typed({**make_results(), "margin": 0.02, "over_backbones": [given]}))
    assert claim.sentence == sentence
    firm = sentence.startswith(("▲", "△", "These models", "s and r are equivalent"))
    assert claim.firm == firm


def test_a_claim_on_one_backbone_names_it_and_shows_both_p_values_where_a_correction_changed_one(
    make_results: Callable[..., Results],
) -> None:
    results = make_results(recipes=("BCE", "RankNet"))
    [row] = results["over_backbones"]
    row.update(difference=-0.03, ahead=[], behind=["minilm-3"], **answers(0.001, 0.04, interval=[-0.05, -0.01]))
    row["recipes"]["p"] = 0.01
    row["collections_ci"] = [-0.06, 0.0]
    [claim] = state_claims(typed(results))
    assert claim.sentence == (
        "▲ RankNet beats BCE: +0.030 nDCG@10 on minilm-3 [+0.010, +0.050], p = 0.010, corrected p = 0.040; over "
        "collections too [0.000, +0.060]."
    )


def test_what_makes_a_claim_less_sure_stands_beside_it(make_results: Callable[..., Results]) -> None:
    results = make_results(recipes=("BCE", "RankNet"))
    [row] = results["over_backbones"]
    row.update(uneven=True, carried_by=[["q1", -0.8]], **answers(0.001, 0.01))
    [claim] = state_claims(typed(results))
    assert claim.caution.startswith("They differ also in candidates, signal")
    assert "A few queries carry the difference: q1 (−0.800)." in claim.caution
    assert claim.caution.endswith("so the test is less exact.")


def test_claims_come_by_how_sure_they_are_and_the_note_says_what_was_tested(
    make_results: Callable[..., Results],
) -> None:
    results = make_results(recipes=("BCE", "InfoNCE", "RankNet"))
    for row, p in zip(results["over_backbones"], ((0.5, 0.5), (0.001, 0.5), (0.001, 0.01)), strict=True):
        row.update(difference=-0.03, **answers(*p))
    assert [claim.sentence[:1] for claim in state_claims(typed(results))] == ["▲", "△", "N"]
    note = claims_note(typed({**results, "margin": 0.02}))
    assert "▲ beats: these recipes, t-test over queries and seeds" in note
    assert "corrected over 3 pairs, by Tukey's and Holm's bounds" in note
    assert "within ±0.02" in note
    for row in results["over_backbones"]:
        row["recipes"] = None
    assert "▲" not in claims_note(typed(results))
