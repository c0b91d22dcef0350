"""LaTeX tables of a paper: the main heat table, and every collection with its suite's average."""

import statistics
from collections.abc import Sequence

from limbeck.report.formats import plural
from limbeck.report.latex import MARKS, escape, marks_caption
from limbeck.report.paper.scores import Column, Score, Scores
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


def remark(scores: Scores) -> str:
    """What a caption begins with where no number is a result."""
    return r"\textbf{Rehearsal with random stand-ins: no number here is a result.} " if scores.rehearsal else ""


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
