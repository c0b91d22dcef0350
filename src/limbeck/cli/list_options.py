"""What verbs that make lists have in common: their options, and the description of what they made."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.output import print_json
from limbeck.core.options import Doc

if TYPE_CHECKING:
    from limbeck.lists import Lists

Output = Annotated[Path, typer.Option(help="Lists to write (Parquet).")]
Candidates = Annotated[Path, typer.Option("--run", help="Run file with the candidates.")]
Depth = Annotated[int | None, typer.Option(min=1, help="Candidates per query; default: all.")]
CorpusNegatives = Annotated[
    int,
    typer.Option(
        min=0, help="Easy negatives to draw for each query from the whole collection, beside judged passages."
    ),
]


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Where a verb whose cross-encoders' scores are kept keeps them."""

    scores: Annotated[Path | None, Doc("Folder of the kept scores; default: OUTPUT with .scores.")] = None


def print_description(lists: "Lists", path: Path, as_json: bool) -> None:
    """Print where lists are and what they hold."""
    from limbeck.lists import describe

    facts = describe(lists)
    if as_json:
        print_json({"path": str(path), **facts})
        return
    lengths, positive, metadata = facts["passages_per_list"], facts["with_positive"], facts["metadata"]
    added = int(metadata.get("positives_added", 0))
    typer.echo(f"{path}: {facts['lists']} lists of {facts['queries']} queries")
    typer.echo(
        f"  passages per list: {lengths['min']} to {lengths['max']}, median {lengths['median']:g}"
        + (f"; {added} judged positives were added to the candidates" if added else "")
    )
    if positive is not None:
        typer.echo(f"  lists with a positive: {positive:.1%}")
    for name, values in facts["signals"].items():
        typer.echo(f"  {name}: {values['min']:g} to {values['max']:g}, mean {values['mean']:.4g}")
    print_metadata(metadata)


def print_metadata(metadata: Mapping[str, str]) -> None:
    """Where lists come from, and what was left out or added; what was not, is not told."""
    for key, value in metadata.items():
        if value != "0":
            typer.echo(f"  {key}: {value}")


def write_ranking(lists: "Lists", path: Path | None) -> None:
    """Write the lists' order as a run, if a path is given."""
    from limbeck.runs import Run, write_run

    if path is None or lists.teacher_order is None:
        return
    rows = zip(lists.query_ids, lists.passage_ids, lists.teacher_order, strict=True)
    scores = {query_id: dict(zip(docids, order.tolist(), strict=True)) for query_id, docids, order in rows}
    write_run(Run.from_scores(path.name, scores), path)
