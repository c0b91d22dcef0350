"""What every teacher can write beside lists: its own ranking of the candidates, to evaluate it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limbeck.lists import Lists

Ranking = Annotated[Path | None, typer.Option(help="Run file to write too: the teacher's own ranking.")]


def write_ranking(lists: "Lists", path: Path | None) -> None:
    """Write the lists' order as a run, if a path is given."""
    from limbeck.runs import Run, write_run

    if path is None or lists.teacher_order is None:
        return
    rows = zip(lists.query_ids, lists.passage_ids, lists.teacher_order, strict=True)
    scores = {query_id: dict(zip(docids, order.tolist(), strict=True)) for query_id, docids, order in rows}
    write_run(Run.from_scores(path.name, scores), path)
