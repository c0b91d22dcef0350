"""The tables of a paper: means shaded by height, collection by collection, and measured beside published."""

import csv
import io
import statistics
from collections.abc import Sequence

from limbeck.core.errors import csv_cell, plural
from limbeck.report.formats import ABSENT, interval, number, signed
from limbeck.report.latex import MARKS, escape, marks_caption
from limbeck.report.paper.published import STEPS, Beside
from limbeck.report.paper.scores import Column, Score, Scores, remark
from limbeck.report.text import escape as escape_markdown
from limbeck.study.analysis.comparisons import FirstStageDifference

HEAD = "% \\usepackage[T1]{fontenc}\n% \\usepackage{booktabs,amssymb,graphicx}\n% \\usepackage[table]{xcolor}\n"
_SHADE = 20  # per cent of colour at a column's extremes
_GROUPS = (("in-domain",), ("beir13",), ("lotte-search", "robust04", "ood"))


def heat_table(scores: Scores) -> str:
    """Backbone × recipe against the main columns; blue below a column's median, red above; bold the highest."""
    words = f"Blue: below a column's median, red: above, up to {_SHADE}\\,\\% of colour."
    return HEAD + _table(scores, scores.headings, words, digits=3, factor=1, shaded=True)


def collection_tables(scores: Scores) -> str:
    """All collections ×100, a table per group of suites, averages last; what is in no suite in one of its own."""
    tables, covered = [], set[str]()
    for group in _GROUPS:
        averages = [column for name in group if (column := scores.suite(name)) and len(column.members) > 1]
        members = {member for column in averages for member in column.members} - covered
        columns = [column for column in scores.collections if column.key in members]
        if columns:
            covered |= members
            tables.append([*columns, *averages])
    rest = [column for column in scores.collections if column.key not in covered]
    tables += [rest] if rest else []
    return HEAD + "\n".join(_table(scores, columns, r"Values $\times$100.", 1, 100, False) for columns in tables)


def _table(scores: Scores, columns: Sequence[Column], words: str, digits: int, factor: int, shaded: bool) -> str:
    found = {
        (backbone, recipe): [scores.score(backbone, recipe, column) for column in columns]
        for backbone in scores.backbones
        for recipe in scores.recipes
        if scores.cells(backbone, recipe)
    }
    means = [[score.mean for score in scored if score.mean is not None] for scored in zip(*found.values(), strict=True)]
    best = [
        max((round(s.mean * factor, digits) for s in scored if s.complete and s.mean is not None), default=None)
        for scored in zip(*found.values(), strict=True)
    ]
    compared = {
        (c.backbone, c.recipe, c.collection): c
        for c in (*scores.results.comparisons, *scores.results.suite_comparisons)
        if c.measure == scores.measure
    }
    lines, last = [], ""
    first = [scores.first_stage(column) for column in columns]
    name = escape(scores.results.first_stage.name)
    lines.append(
        rf"\multicolumn{{2}}{{l}}{{{name} (first stage)}} & " + " & ".join(_number(v, digits, factor) for v in first)
    )
    for (backbone, recipe), row in found.items():
        cells = [
            _cell(
                score,
                means[place],
                best[place],
                compared.get((backbone, recipe, columns[place].key)),
                digits,
                factor,
                shaded,
            )
            for place, score in enumerate(row)
        ]
        rule = r"\midrule" + "\n" if backbone != last else ""
        lines.append(f"{rule}{escape(backbone) if backbone != last else ''} & {escape(recipe)} & {' & '.join(cells)}")
        last = backbone
    caption = (
        f"{remark(scores)}{escape(scores.results.name)}: {escape(scores.measure)}, mean over "
        f"{plural(scores.seeds, 'seed')}. {words} Bold: the highest of a column among configurations with all seeds. "
        rf"{marks_caption(scores.results)}; $^{{n}}$: mean over so many seeds only."
    )
    return "\n".join(
        [
            r"\begin{table}", r"\centering\scriptsize\setlength{\tabcolsep}{3pt}", rf"\caption{{{caption}}}",
            *([r"\resizebox{\linewidth}{!}{%"] if len(columns) > 9 else []),
            rf"\begin{{tabular}}{{ll{'r' * len(columns)}}}", r"\toprule",
            " & ".join(["Backbone", "Recipe", *(_heading(column) for column in columns)]) + r" \\", r"\midrule",
            *(f"{line} \\\\" for line in lines), r"\bottomrule",
            r"\end{tabular}" + ("}" if len(columns) > 9 else ""), r"\end{table}", "",
        ]
    )  # fmt: skip


def _heading(column: Column) -> str:
    return rf"\textit{{{escape(column.label)}}}" if column.averaged else escape(column.label)


def _cell(
    score: Score,
    means: Sequence[float],
    best: float | None,
    comparison: FirstStageDifference | None,
    digits: int,
    factor: int,
    shaded: bool,
) -> str:
    if score.mean is None:
        return "---"
    text = _number(score.mean, digits, factor)
    if score.complete and round(score.mean * factor, digits) == best:
        text = rf"\textbf{{{text}}}"
    if comparison and comparison.mark:
        text += f"$^{{{MARKS[comparison.mark]}}}$"
    if not score.complete:
        text += rf"$^{{{len(score.values)}}}$"
    return _shade(score.mean, means) + text if shaded else text


def _shade(value: float, means: Sequence[float]) -> str:
    middle = statistics.median(means)
    reach = (max(means) if value > middle else min(means)) - middle
    share = round(_SHADE * (value - middle) / reach) if reach else 0
    return rf"\cellcolor{{{'red' if value > middle else 'blue'}!{share}}}" if share else ""


def _number(value: float | None, digits: int, factor: int) -> str:
    return "---" if value is None else f"{value * factor:.{digits}f}".replace("-", "$-$")


_HEADER = ("backbone", "recipe", "collection", "measure", "ours", "published", "vintage", "difference", "95 % interval")
_NOTE = (
    "Means over seeds; ± is their standard deviation. Interval of the difference: over seeds (Welch); queries are "
    "the same on both sides; * of our seeds alone, the published variance being unknown or not usable. Published "
    "values re-rank SPLADE-v3-distilbert's first 1,000, those of others what their row says. Steps beside a "
    f"recipe: it was trained for so many, not for the published {STEPS:,}."
)

_OWN_DOCUMENTS = (
    " §: a query's own document is removed here and was kept there, which is worth some 10 points on ArguAna, 20 on "
    "Quora and 1 to 2.5 on BEIR-13 (estimated): such figures are no reproduction of one another."
)


def _note(pairs: Sequence[Beside]) -> str:
    return _NOTE + (_OWN_DOCUMENTS if any(pair.own_documents for pair in pairs) else "")


def beside_markdown(pairs: Sequence[Beside], notes: Sequence[str], title: str) -> str:
    rows = [" | ".join(map(escape_markdown, _texts(pair))) for pair in pairs]
    head = [
        f"# {escape_markdown(title)}",
        "",
        _note(pairs),
        "",
        f"| {' | '.join(_HEADER)} |",
        f"|{' --- |' * len(_HEADER)}",
    ]
    lines = [*head, *(f"| {row} |" for row in rows), "", *(f"- {escape_markdown(note)}" for note in notes)]
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
    stage = "" if theirs.vintage in ("v1", "v2") else f" ({theirs.first_stage})"
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
