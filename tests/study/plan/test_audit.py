import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typed_results import training

from limbeck.study.config.study import load_study
from limbeck.study.plan.audit import PLANNED, audit, audit_study, facts_of, measured_facts, terms

Change = Callable[[dict[str, Any]], None]


def two_recipes(tiny: dict[str, Any]) -> dict[str, Any]:
    """The small study with BCE and InfoNCE on equal terms; the second has lists of its own, to be changed."""
    study = copy.deepcopy(tiny)
    study["lists"]["other"] = copy.deepcopy(study["lists"]["judged"])
    stage = study["recipes"]["BCE"][0]
    study["recipes"] = {"BCE": [stage], "InfoNCE": [{**stage, "objective": "InfoNCE", "lists": "other"}]}
    return study


def second(key: str, value: Any) -> Change:
    """A change of the second recipe's stage."""
    return lambda study: study["recipes"]["InfoNCE"][0].update({key: value})


def lists(**values: Any) -> Change:
    """A change of the second recipe's lists."""
    return lambda study: study["lists"]["other"].update(values)


def other_first_stage(study: dict[str, Any]) -> None:
    study["first_stages"] = {"short": {"bm25": {"k1": 0.4}}}
    study["lists"]["other"]["first_stage"] = "short"


def other_data(study: dict[str, Any]) -> None:
    study["collections"]["train"] = ["mini/train", "mini/valid"]
    study["lists"]["judged"]["collections"] = ["mini/train"]
    study["validation"] = None


def two_stages(study: dict[str, Any]) -> None:
    study["recipes"]["InfoNCE"].append(study["recipes"]["InfoNCE"][0])


def other_signal(study: dict[str, Any]) -> None:
    study["lists"]["other"] = {
        **study["lists"]["taught"],
        "sample": study["lists"]["judged"]["sample"],
        "labels": "qrels",
    }
    study["recipes"]["InfoNCE"][0]["objective"] = "RankNet"


def other_k1(study: dict[str, Any]) -> None:
    """Two first stages that no name tells apart: the facts in words name neither k1."""
    study["first_stages"] = {"one": {"bm25": {"k1": 0.9}}, "two": {"bm25": {"k1": 0.4}}}
    study["lists"]["judged"]["first_stage"], study["lists"]["other"]["first_stage"] = "one", "two"


def other_scale(study: dict[str, Any]) -> None:
    [teacher] = study["teachers"]
    study["teachers"]["scaled"] = {**study["teachers"][teacher], "scale": 7}
    for name, of in (("judged", teacher), ("other", "scaled")):
        study["lists"][name] = {**study["lists"]["taught"], "teacher": of}
    study["recipes"]["BCE"][0]["objective"], study["recipes"]["InfoNCE"][0]["objective"] = "MSE", "RankNet"


def test_recipes_on_equal_terms_differ_in_nothing_but_the_objective(
    tiny: dict[str, Any], study_file: Callable[..., Path]
) -> None:
    [pair] = audit_study(load_study(study_file(two_recipes(tiny))))
    assert pair.factors == ()
    assert pair.objective_alone
    assert pair.sentence == "BCE and InfoNCE differ in nothing but the objective."


@pytest.mark.parametrize(
    ("factor", "change"),
    [
        ("stages", two_stages),
        ("data", other_data),
        ("negatives", other_first_stage),
        ("negatives: bm25 k1", lambda study: other_k1(study)),
        ("lists: add positives", lists(add_positives=False)),
        ("signal: scale", lambda study: other_scale(study)),
        ("negatives", lists(depth=7)),
        ("sample", lists(sample={"positives": 1, "negatives": 2})),
        ("passages per list", lists(sample={"positives": 1, "negatives": 2})),
        ("signal", other_signal),
        ("queries per step", second("lists_per_step", 3)),
        ("passages per step", second("lists_per_step", 3)),
        ("steps", second("steps", 5)),
        ("learning rate", second("learning_rate", 1e-5)),
        ("pairs trained on", second("steps", 5)),
        ("tokens seen", second("steps", 5)),
    ],
)
def test_every_factor_is_named_before_anything_is_trained(
    factor: str, change: Change, tiny: dict[str, Any], study_file: Callable[..., Path]
) -> None:
    study = two_recipes(tiny)
    change(study)
    [pair] = audit_study(load_study(study_file(study)))
    [found] = [each for each in pair.factors if each.factor == factor]
    assert found.a != found.b
    assert f"{factor} ({found.a} / {found.b})" in pair.sentence
    assert pair.sentence.endswith("cannot be put down to the objective alone.")
    assert not pair.objective_alone


def test_what_is_made_of_a_file_and_what_is_made_here_differ_in_nothing_unknown(
    tiny: dict[str, Any], study_file: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "their.run").write_text("q1 Q0 d1 1 2 x\nq1 Q0 d2 2 1 x\n")
    study = two_recipes(tiny)
    del study["lists"]["other"]["first_stage"]
    study["lists"]["other"]["path"] = {"mini/train": str(tmp_path / "their.run")}
    [pair] = audit_study(load_study(study_file(study)))
    assert "negatives" in {each.factor for each in pair.factors}
    assert "unknown" not in pair.sentence


def test_what_only_one_side_states_is_not_called_unknown_of_the_other(
    tiny: dict[str, Any], study_file: Callable[..., Path]
) -> None:
    study = two_recipes(tiny)
    study["lists"]["other"]["add_positives"] = False
    [pair] = audit_study(load_study(study_file(study)))
    assert "lists: add positives (not stated / False)" in pair.sentence


def test_what_all_recipes_have_in_common_is_stated_too(tiny: dict[str, Any], study_file: Callable[..., Path]) -> None:
    facts = facts_of(load_study(study_file(two_recipes(tiny))))["bert-1"]["BCE"]
    assert facts["precision"] == "fp32"
    assert facts["max length"] == "20, of which the query up to 64"
    assert facts["checkpoint"] == "the highest nDCG@10 on mini/valid, depth 10, every 2 steps"
    assert facts["schedule"] == "warm-up over 10% of a stage, then linear to 0, clipped at 1"
    assert facts["seeds"] == f"1, 2{PLANNED}"
    assert facts["pairs trained on"] == f"32{PLANNED}"
    assert facts["tokens seen"] == f"at most 640{PLANNED}"


def test_recipes_of_one_objective_are_told_apart_by_the_rest() -> None:
    [pair] = audit({"b": {"x": {"objective": "BCE", "steps": "1"}, "y": {"objective": "BCE", "steps": "2"}}})
    assert pair.sentence == "x and y have the same objective, and differ in steps (1 / 2)."
    assert not pair.objective_alone
    [same] = audit({"b": {"x": {"objective": "BCE"}, "y": {"objective": "BCE"}}})
    assert same.sentence == "x and y have the same objective, and differ in nothing."
    assert not same.objective_alone


def test_only_recipes_of_one_backbone_are_compared() -> None:
    facts = {"objective": "BCE"}
    assert audit({"b": {"x": facts}, "c": {"x": facts}}) == ()


def test_a_planned_fact_and_the_same_measured_are_equal() -> None:
    [pair] = audit({"b": {"x": {"objective": "A", "seeds": f"1{PLANNED}"}, "y": {"objective": "B", "seeds": "1"}}})
    assert pair.objective_alone


def test_cut_passages_are_a_share_of_all_pairs() -> None:
    one, other = (training(pairs=pairs, tokens=10, cut_pairs=5) for pairs in (100, 300))
    facts = measured_facts([one, other], [2, 1])
    assert facts == {"seeds": "1, 2", "pairs trained on": "200", "tokens seen": "10", "passages cut": "2.5%"}


def test_signs_stand_for_equal_terms_and_the_commonest_has_none() -> None:
    kinds = {"BCE": "bm25", "InfoNCE": "colbert", "Hinge": "bm25", "RankNet": "rankzephyr"}
    facts = {recipe: {"objective": recipe, "negatives": negatives} for recipe, negatives in kinds.items()}
    assert terms(facts) == {"BCE": "", "Hinge": "", "InfoNCE": "†", "RankNet": "‡"}
    many = {str(n): {"objective": "x", "steps": str(n)} for n in range(7)}
    assert list(terms(many).values()) == ["", "†", "‡", "§", "¶", "††", "‡‡"]
