"""The verb compare: paired statistics of anyone's runs."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from limbeck.cli.compare_table import ALL, LEVEL, NAMES, print_comparisons
from limbeck.cli.output import Json, print_json, warn
from limbeck.cli.runs import Measures, as_json, split_words
from limbeck.cli.systems import OwnDocument, Qrels, Relevance, System, doubts, load_judged, name_systems
from limbeck.core.errors import UsageError

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.evaluation import Evaluation, Paired

Measured = dict[str, dict[System, list["Evaluation"]]]
"""Collection → system → one evaluation per seed."""


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
        Literal["holm", "bh", "none"], typer.Option(help="Of p-values, over all rows: Holm, Benjamini–Hochberg.")
    ] = "holm",
    json: Json = False,
) -> None:
    """Compare runs per query: paired tests, intervals, effect sizes, and what the queries at hand could have shown."""
    from limbeck.evaluation import CORRECTIONS

    words, names = split_words(ctx, run, measures)
    places: list[str | None] = list(collection) if collection else [None]
    if len(set(places)) < len(places):
        raise UsageError(f"--collection names one of {', '.join(map(str, places))} twice")
    systems = name_systems(words, several=len(places) > 1)
    measured = {
        place or str(qrels): _measure(load_judged(place, qrels, relevance, own_document), systems, names)
        for place in places
    }
    rows = _rows(measured, _couples(systems, all_pairs), margin, LEVEL, correction != "none")
    for kind in ("t_p", "randomisation_p", "seeds_p", "equivalence_p"):
        known = [row for row in rows if row[kind] is not None]
        for row in rows:
            row[f"corrected_{kind}"] = None
        for row, p in zip(known, CORRECTIONS[correction]([row[kind] for row in known]), strict=True):
            row[f"corrected_{kind}"] = p
    if json:
        print_json(
            {
                "collections": [
                    {
                        "collection": place,
                        "runs": [
                            {"system": system.label, **as_json(str(path), found)}
                            for system, seeds in of_systems.items()
                            for path, found in zip(system.files(place), seeds, strict=True)
                        ],
                    }
                    for place, of_systems in measured.items()
                ],
                "baseline": None if all_pairs else systems[0].word,
                "correction": NAMES[correction],
                "margin": margin,
                "comparisons": rows,
            }
        )
        return
    print_comparisons(rows, {system.word: system.label for system in systems}, all_pairs, margin, correction)


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
    for system, seeds in found.items():
        for path, one in zip(files[system], seeds, strict=True):
            warn(doubts(str(path), one))
            if 0 < 2 * len(one.missing) <= one.queries:
                warn(
                    [f"{path}: no candidates for {len(one.missing)} of {one.queries} judged queries of {data.name}; "
                     f"they count as 0"]
                )  # fmt: skip
    return found


def _rows(
    measured: Measured, couples: Sequence[tuple[System, System]], margin: float | None, level: float, corrected: bool
) -> list[dict[str, Any]]:
    """One row per scope (each collection, then all of them), measure and couple."""
    from limbeck.evaluation import compare_all

    places = list(measured)
    scopes = {place: [place] for place in places} | ({ALL: places} if len(places) > 1 else {})
    measures = next(iter(measured[places[0]].values()))[0].measures
    size = len(scopes) * len(measures) * len(couples)
    rows = []
    for scope, within in scopes.items():
        for measure in measures:
            pairs = [_pair(measured, within, measure, a, b) for a, b in couples]
            # What must survive the correction is found at the level of its hardest step.
            found = compare_all(pairs, margin=margin, level=level / size if corrected else level)
            for (a, b), both, one in zip(couples, pairs, found, strict=True):
                facts = asdict(one)
                means = [sum(values.mean() for values in side) / len(side) for side in (both.a, both.b)]
                rows.append(
                    {
                        "collection": scope,
                        "measure": measure,
                        "run": a.word,
                        "against": b.word,
                        "mean": float(means[0]),
                        "baseline": float(means[1]),
                        "difference": facts.pop("difference"),
                        "ci": [facts.pop("ci_low"), facts.pop("ci_high")],
                        "queries": facts.pop("n"),
                        **facts,
                    }
                )
    return rows


def _pair(measured: Measured, places: Sequence[str], measure: str, a: System, b: System) -> "Paired":
    from limbeck.evaluation import pair

    of_a, of_b = (
        {place: [one.values[measure] for one in measured[place][side]] for place in places} for side in (a, b)
    )
    return pair(of_a, of_b)
