"""The verb compare: paired statistics of anyone's runs."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from limbeck.cli.output import Json, print_json, warn
from limbeck.cli.runs import Measures, as_json, split_words
from limbeck.cli.systems import OwnDocument, Qrels, Relevance, System, doubts, load_judged, name_systems, seeds
from limbeck.core.errors import UsageError, nearest
from limbeck.core.files import plain

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.evaluation import Evaluation

Correction = Literal["holm", "bh", "none"]
NAMES: dict[Correction, str] = {"holm": "Holm", "bh": "Benjamini–Hochberg", "none": "none"}


def add_to(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("compare", context_settings={"allow_extra_args": True})(compare)


def compare(
    ctx: typer.Context,
    run: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_A RUN_B...",
            help="Baseline first, then the others. A.run,B.run are seeds of one system; {} stands for the collection.",
        ),
    ],
    collection: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder in BEIR's layout or FOLDER/SPLIT, ir_datasets id, or demo; once for each of several."
        ),
    ] = None,
    qrels: Qrels = None,
    measures: Measures = None,
    relevance: Relevance = None,
    own_document: OwnDocument = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Every two runs, not only with the first.")] = False,
    margin: Annotated[
        float | None, typer.Option(help="Test whether differences are within ±MARGIN, in the measure's unit.")
    ] = None,
    correction: Annotated[
        Correction, typer.Option(help="Of p-values, over all rows: Holm, Benjamini–Hochberg.")
    ] = "holm",
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN", help="A run that no seed changes, such as BM25's; else one run is one training of several."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compare runs per query: do these models differ, do these recipes, and what could the runs at hand have shown?"""
    from limbeck.cli.compare_table import print_comparisons
    from limbeck.evaluation.run_comparison import compare_runs

    words, names = split_words(ctx, run, measures)
    places: list[str | None] = list(collection) if collection else [None]
    if len(set(places)) < len(places):
        raise UsageError(f"--collection names one of {', '.join(map(str, places))} twice")
    systems = name_systems(words, several=len(places) > 1)
    measured = {
        place or str(qrels): _measure(load_judged(place, qrels, relevance, own_document), systems, names)
        for place in places
    }
    fixed = frozenset(given or ())
    if unknown := sorted(fixed - set(words)):
        raise UsageError(f"--given {unknown[0]}{nearest(unknown[0], words)}; expected one of the runs compared")
    by_word = {place: {one.word: each for one, each in found.items()} for place, found in measured.items()}
    couples = [(a.word, b.word) for a, b in _couples(systems, all_pairs)]
    rows = compare_runs(by_word, couples, given=fixed, margin=margin, correction=correction)
    if json:
        print_json(
            {
                "collections": [
                    {
                        "collection": place,
                        "runs": [
                            {"system": system.label, **as_json(str(path), found)}
                            for system, of_seeds in of_systems.items()
                            for path, found in zip(system.files(place), of_seeds, strict=True)
                        ],
                    }
                    for place, of_systems in measured.items()
                ],
                "baseline": None if all_pairs else systems[0].word,
                "correction": NAMES[correction],
                "margin": margin,
                "comparisons": [{**plain(row), "mark": row.mark} for row in rows],
            }
        )
        return
    labels = {system.word: system.label for system in systems}
    single = [one.label for one in systems if one.word not in fixed and len(seeds(one.word)) == 1]
    print_comparisons(rows, labels, all_pairs, margin, correction, single)


def _couples(systems: Sequence[System], all_pairs: bool) -> list[tuple[System, System]]:
    """The pairs (a, b) whose difference a − b is shown: the later against the earlier."""
    if all_pairs:
        return [(a, b) for b, a in combinations(systems, 2)]
    return [(a, systems[0]) for a in systems[1:]]


def _measure(
    data: "Collection", systems: Sequence[System], measures: Sequence[str]
) -> dict[System, list["Evaluation"]]:
    from limbeck.evaluation import measure_run
    from limbeck.runs import read_run

    files = {system: system.files(data.name) for system in systems}
    found = {system: [measure_run(data, read_run(path), measures) for path in paths] for system, paths in files.items()}
    for system, of_seeds in found.items():
        for path, one in zip(files[system], of_seeds, strict=True):
            warn(doubts(str(path), one))
            if 0 < 2 * len(one.missing) <= one.queries:
                warn(
                    [f"{path}: no candidates for {len(one.missing)} of {one.queries} judged queries of {data.name}; "
                     f"they count as 0"]
                )  # fmt: skip
    return found
