"""The comparison with published figures as Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Sequence

from limbeck.core.text import csv_cell
from limbeck.report import markdown
from limbeck.report.formats import ABSENT, interval, number, signed
from limbeck.report.latex import escape
from limbeck.report.paper.published import STEPS, Beside

_HEADER = ("backbone", "recipe", "collection", "measure", "ours", "published", "vintage", "difference", "95 % interval")
_NOTE = (
    "Means over seeds; ± is their standard deviation. Interval of the difference: over seeds (Welch); queries are "
    "the same on both sides; * of our seeds alone, the published variance being unknown or not usable. Published "
    "values re-rank SPLADE-v3-distilbert's first 1,000, those of 2405.07920 what their row says. Steps beside a "
    f"recipe: it was trained for so many, not for the published {STEPS:,}."
)

_OWN_DOCUMENTS = (
    " §: a query's own document is removed here and was kept there, which is worth some 10 points on ArguAna, 20 on "
    "Quora and 1 to 2.5 on BEIR-13 (estimated): such figures are no reproduction of one another."
)


def _note(pairs: Sequence[Beside]) -> str:
    return _NOTE + (_OWN_DOCUMENTS if any(pair.own_documents for pair in pairs) else "")


def beside_markdown(pairs: Sequence[Beside], notes: Sequence[str], title: str) -> str:
    rows = [" | ".join(map(markdown.escape, _texts(pair))) for pair in pairs]
    head = [
        f"# {markdown.escape(title)}",
        "",
        _note(pairs),
        "",
        f"| {' | '.join(_HEADER)} |",
        f"|{' --- |' * len(_HEADER)}",
    ]
    lines = [*head, *(f"| {row} |" for row in rows), "", *(f"- {markdown.escape(note)}" for note in notes)]
    return "\n".join(lines) + "\n"


def beside_csv(pairs: Sequence[Beside], rehearsal: bool) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ("backbone", "recipe", "collection", "measure", "ours", "ours_std", "seeds", "seeds_planned", "published",
         "published_variance", "vintage", "published_lists", "published_first_stage", "difference", "ci_low", "ci_high",
         "other_steps", "own_documents", "rehearsal")
    )  # fmt: skip
    for pair in pairs:
        ends = (None, None) if pair.half is None else (pair.difference - pair.half, pair.difference + pair.half)
        writer.writerow(
            (*map(csv_cell, (pair.backbone, pair.recipe, pair.column.key)), pair.theirs.measure, pair.ours.mean,
             pair.ours.std,
             len(pair.ours.values), pair.ours.planned, pair.theirs.value, pair.theirs.variance, pair.theirs.vintage,
             pair.theirs.lists, pair.theirs.first_stage, pair.difference, *ends, pair.steps,
             "removed here, kept there" if pair.own_documents else "", str(rehearsal).lower())
        )  # fmt: skip
    return file.getvalue()


def beside_latex(pairs: Sequence[Beside], measure: str, remark: str) -> str:
    """The primary measure, over as many pages as it takes (longtable)."""
    rows = [
        " & ".join(escape(text) for text in _texts(pair)) + r" \\" for pair in pairs if pair.theirs.measure == measure
    ]
    header = " & ".join(escape(name) for name in _HEADER) + r" \\"
    lines = [
        "% \\usepackage[T1]{fontenc}\n% \\usepackage{booktabs,longtable,textcomp}",
        r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}",
        r"\begin{longtable}{llllllllr}",
        rf"\caption{{{remark}Measured beside published. {escape(_note(pairs))}}}\\",
        r"\toprule",
        f"{header}\n\\midrule\\endfirsthead",
        f"\\toprule\n{header}\n\\midrule\\endhead",
        *rows,
        r"\bottomrule",
        r"\end{longtable}\endgroup",
    ]
    return "\n".join(lines) + "\n"


def _texts(pair: Beside) -> list[str]:
    ours, theirs = pair.ours, pair.theirs
    seeds = "" if ours.complete else f" ({len(ours.values)} of {ours.planned} seeds)"
    std = f" ± {number(ours.std)}" if ours.std is not None else ""
    spread = f" ± {number(theirs.variance**0.5)}" if theirs.variance is not None else ""
    stage = f" ({theirs.first_stage})" if theirs.vintage == "2405.07920" else ""
    half, known = pair.half, "" if theirs.variance is not None else "*"
    return [
        pair.backbone or ABSENT,
        pair.recipe + (f" ({pair.steps:,} steps)" if pair.steps else ""),
        pair.column.label + (" §" if pair.own_documents else ""),
        theirs.measure,
        f"{number(ours.mean)}{std}{seeds}",
        f"{number(theirs.value)}{spread}",
        theirs.vintage + stage,
        signed(pair.difference),
        ABSENT if half is None else interval(pair.difference - half, pair.difference + half) + known,
    ]
