"""The small table of the paper that sets ELECTRA under an LLM's order beside Rank-DistiLLM (arXiv 2405.07920)."""

from collections.abc import Iterator

from limbeck.report.formats import ABSENT, number
from limbeck.report.latex import escape
from limbeck.report.paper.heat import remark
from limbeck.report.paper.published import names, published
from limbeck.report.paper.scores import Column, Scores
from limbeck.report.paper.sizes import hub_id

_COLLECTIONS = ("TREC DL19", "TREC DL20")
_BACKBONES = ("ELECTRA", "monoELECTRA-base")
_ORDERED = ("RankNet", "DistillRankNET", "ADR-MSE")
_MEASURE = "nDCG@10"


def rank_distillm_table(scores: Scores) -> str | None:
    """Means of recipes that end with an LLM's order, measured above published, ± standard deviation over seeds.

    None where no ELECTRA was trained so and tested on TREC-DL 2019 and 2020.
    """
    measured = list(_measured(scores))
    if not measured:
        return None
    stage = scores.results["first_stage"]["name"]
    lines = [_line(name, stage, values) for name, values in measured]
    caption = (
        f"{remark(scores)}ELECTRA under an LLM's order beside Rank-DistiLLM: {_MEASURE}, mean "
        r"$\pm$ standard deviation over seeds where there are several. Trainings and first stages differ as stated."
    )
    return "\n".join(
        [
            "% \\usepackage[T1]{fontenc}\n% \\usepackage{booktabs,textcomp}",
            r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", r"\begin{tabular}{llrr}", r"\toprule",
            r"Training & First stage & DL 19 & DL 20 \\", r"\midrule", *lines, r"\midrule",
            *(_line(name, stage, values) for (name, stage), values in _published().items()), r"\bottomrule",
            r"\end{tabular}", r"\end{table}", "",
        ]
    )  # fmt: skip


def _measured(scores: Scores) -> Iterator[tuple[str, list[str]]]:
    keys = [names()["collections"][name] for name in _COLLECTIONS]
    backbones = names()["backbones"]
    for backbone in scores.results["backbones"]:
        if _BACKBONES[0] not in backbones.get(hub_id(backbone, scores.rehearsal), ()):
            continue
        for recipe in scores.results["recipes"]:
            found = [scores.score(backbone["name"], recipe["name"], Column(key, (key,)), _MEASURE) for key in keys]
            if recipe["stages"][-1]["objective"] in _ORDERED and all(score.values for score in found):
                yield recipe["name"], [_text(score.mean, score.std) for score in found]


def _published() -> dict[tuple[str, str], list[str]]:
    """(training, first stage) → means on TREC-DL 2019 and 2020."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for each in published():
        ordered = each.objective.split(", then ")[-1] in _ORDERED
        if each.backbone in _BACKBONES and ordered and each.measure == _MEASURE:
            std = None if each.variance is None else each.variance**0.5
            training = f"{each.objective}, published ({each.vintage})", each.first_stage
            found.setdefault(training, {})[each.collection] = _text(each.value, std)
    return {training: [texts.get(name, ABSENT) for name in _COLLECTIONS] for training, texts in found.items()}


def _text(mean: float | None, std: float | None) -> str:
    return number(mean) + ("" if std is None else f" ± {number(std)}")


def _line(*cells: str | list[str]) -> str:
    texts = [text for cell in cells for text in ([cell] if isinstance(cell, str) else cell)]
    return " & ".join(map(escape, texts)) + r" \\"
