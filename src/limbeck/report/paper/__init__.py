"""Tables and figures ready for a paper: LaTeX, PDF and SVG, from a study's results, in a report's folder."""

import os
import re
from pathlib import Path

from limbeck.core.files import atomic_write, write_text
from limbeck.report.latex import escape
from limbeck.report.paper.bars import bar_charts, negatives_charts
from limbeck.report.paper.correlation import correlations
from limbeck.report.paper.curves import scaling_curves, training_curves
from limbeck.report.paper.drawing import Drawing, NotDrawn, render
from limbeck.report.paper.published import beside_published, rank_distillm_table
from limbeck.report.paper.scores import Scores, remark
from limbeck.report.paper.tables import beside_csv, beside_latex, beside_markdown, collection_tables, heat_table
from limbeck.study.analysis.results import StudyResults


def write_paper(results: StudyResults, folder: str | os.PathLike[str]) -> tuple[list[Path], list[str]]:
    """Write `figures/*.pdf` and `.svg` with their captions, and `tables/*`; their paths, and what is left out and why.

    Equal results give equal bytes. Figures that an earlier report drew, and this one does not, are removed:
    `figures/figures.tex` lists those drawn. Raises MissingError where the folder cannot be written.
    """
    scores, folder = Scores(results), Path(folder)
    drawn = [
        *bar_charts(scores),
        *negatives_charts(scores),
        *scaling_curves(scores),
        *correlations(scores),
        *training_curves(scores),
    ]
    left_out = [str(each) for each in drawn if isinstance(each, NotDrawn)]
    drawings = [each for each in drawn if isinstance(each, Drawing)]
    paths = []
    for drawing in drawings:
        for suffix, content in render(drawing, scores.rehearsal).items():
            paths.append(folder / "figures" / f"{drawing.name}.{suffix}")
            with atomic_write(paths[-1]) as stream:
                stream.write(content)
    texts = {
        "figures/figures.tex": _captions(scores, drawings, left_out),
        "tables/main.tex": heat_table(scores),
        "tables/collections.tex": collection_tables(scores),
    }
    if table := rank_distillm_table(scores):
        texts["tables/rank-distillm.tex"] = table
    pairs, notes = beside_published(scores)
    if pairs:
        title = f"{results.name} beside published figures" + (" (rehearsal: no results)" if scores.rehearsal else "")
        texts["tables/published.md"] = beside_markdown(pairs, notes, title)
        texts["tables/published.csv"] = beside_csv(pairs, scores.rehearsal)
        texts["tables/published.tex"] = beside_latex(pairs, scores.measure, remark(scores))
    else:
        left_out.append(str(NotDrawn("published", "no configuration of the study is in a published table")))
    for name in _listed(folder / "figures" / "figures.tex") - {drawing.name for drawing in drawings}:
        for suffix in ("pdf", "svg"):
            (folder / "figures" / f"{name}.{suffix}").unlink(missing_ok=True)
    for name, text in texts.items():
        write_text(folder / name, text)
    return [*paths, *(folder / name for name in texts)], left_out


def _listed(captions: Path) -> set[str]:
    """The figures that an earlier report drew; none where there was none."""
    return (
        set(re.findall(r"\\includegraphics\[.*?\]\{([^/{}]+)\.pdf\}", captions.read_text("utf-8")))
        if captions.exists()
        else set()
    )


def _captions(scores: Scores, drawings: list[Drawing], left_out: list[str]) -> str:
    figures = [
        "\n".join(
            [
                r"\begin{figure}",
                r"\centering",
                rf"\includegraphics[width=\linewidth]{{{drawing.name}.pdf}}",
                rf"\caption{{{remark(scores)}{escape(drawing.caption)}}}",
                r"\end{figure}",
                "",
            ]
        )
        for drawing in drawings
    ]
    comments = [f"% {' '.join(line.split())}" for line in left_out]
    return "\n".join(["% \\usepackage{graphicx,textcomp}", *comments, *figures])
