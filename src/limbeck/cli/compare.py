"""The verb compare: paired statistics of anyone's runs, as tables with a legend, or as JSON."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.output import Json, print_json, print_table, warn
from limbeck.cli.runs import Measures, as_json, split_words
from limbeck.cli.systems import OwnDocument, Qrels, Relevance, System, doubts, load_judged, name_systems, seeds
from limbeck.core.errors import UsageError, nearest, plural
from limbeck.core.files import plain
from limbeck.core.options import Correction

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.evaluation import Corrected, Evaluation
    from limbeck.evaluation.run_comparison import RunDifference

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
    _print_comparisons(rows, labels, all_pairs, margin, correction, single)


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


def _print_comparisons(
    rows: Sequence["RunDifference"],
    label: dict[str, str],
    all_pairs: bool,
    margin: float | None,
    correction: Correction,
    single: Sequence[str],
) -> None:
    """A table for each collection and measure, then what the columns mean.

    Args:
        label: system → its name in the table.
        single: names of systems of one run that may be one training of several.
    """
    recipes = any(row.recipes for row in rows)
    columns = ["run", "mean", "difference", "these models", "p", "p rand."]
    columns += ["these recipes", "p"] * recipes + ["detectable"] + ["p equiv."] * (margin is not None)
    columns += ["effect", "win/tie/loss"]
    for scope, measure in dict.fromkeys((row.collection, row.measure) for row in rows):
        some = [row for row in rows if (row.collection, row.measure) == (scope, measure)]
        against = "" if all_pairs else f", against {label[some[0].against]} ({some[0].baseline:.4f})"
        title = f"{measure} on {scope}, {plural(some[0].queries, 'query')}{against}"
        wide = ["with collections"] if some[0].collections_interval else []
        print_table(columns + wide, [_cells(row, label, all_pairs, recipes, margin) for row in some], title=title)
    typer.echo(
        _legend(rows, label, recipes=recipes, margin=margin, correction=correction, all_pairs=all_pairs, single=single)
    )


def _cells(
    row: "RunDifference", label: dict[str, str], all_pairs: bool, recipes: bool, margin: float | None
) -> list[str]:
    from limbeck.report.formats import interval, p_value

    name = label[row.run] + (f" − {label[row.against]}" if all_pairs else "")
    answer = row.recipes or row.models
    cells = [name, f"{row.mean:.4f}", f"{_mark(row)} {row.difference:+.4f}", *_answer(row.models)]
    cells.append(p_value(row.randomisation_p))
    if recipes:
        cells += _answer(row.recipes)
    detectable = answer.detectable if answer else None
    cells.append("—" if detectable is None else "> 1" if detectable > 1 else f"{detectable:.4f}")
    if margin is not None:
        cells.append(p_value(answer.corrected_equivalence_p if answer else None))
    cells.append("—" if row.effect_size is None else f"{row.effect_size:+.2f}")
    cells.append(f"{row.wins}/{row.ties}/{row.losses}")
    if row.collections_interval:
        cells.append(interval(*row.collections_interval))
    return cells


def _answer(answer: "Corrected | None") -> list[str]:
    """The interval and the corrected p-value."""
    from limbeck.report.formats import interval, p_value

    if answer is None:
        return ["—", "—"]
    return [interval(*answer.interval) if answer.interval else "—", p_value(answer.corrected_p)]


def _mark(row: "RunDifference") -> str:
    answer = row.recipes or row.models
    return row.mark or ("=" if answer and answer.equivalent else " ")


def _legend(
    rows: Sequence["RunDifference"],
    label: dict[str, str],
    recipes: bool,
    margin: float | None,
    correction: Correction,
    all_pairs: bool,
    single: Sequence[str],
) -> str:
    from limbeck.evaluation import LEVEL
    from limbeck.evaluation.run_comparison import ALL
    from limbeck.report.phrases import MODELS_TEST, carried

    level = LEVEL if correction == "none" else LEVEL / len(rows)
    how = "not corrected" if correction == "none" else f"{NAMES[correction]}-corrected over {plural(len(rows), 'row')}"
    if correction == "holm" and all_pairs and len(label) > 2:
        how = f"corrected over {plural(len(rows), 'row')} by Tukey's and Holm's bounds"
    lines = [
        f"△ ▽ these models are better, worse: {MODELS_TEST}; p < {LEVEL:g}, two-sided, {how}. "
        "p rand.: randomisation test of the same, not corrected.",
    ]
    if recipes:
        lines.insert(
            0,
            "▲ ▼ these recipes are better, worse, whatever the seed: t-test over queries and seeds, the variance of "
            f"seeds pooled over systems; p < {LEVEL:g}, {how}.",
        )
        if single:
            lines.append(
                f"{', '.join(single)}: taken as one training of several that could be; where no seed changes it, say "
                "--given and its run."
            )
    else:
        reasons = dict.fromkeys(row.unknown for row in rows if row.unknown)
        lines += [f"▲ cannot be given: {reason}." for reason in reasons]
    lines += [
        "Intervals are 95 %, of the test beside them, not corrected. effect: difference in standard deviations of "
        "queries' differences.",
        f"detectable: the true difference that the {'last' if recipes else 'first'} test finds with power 0.8 at level "
        f"{level:.2g}.",
    ]
    if margin is not None:
        known = [answer.margin_power for row in rows if (answer := row.recipes or row.models)]
        power = min((one for one in known if one is not None), default=0.0)
        lines.append(
            f"= equivalent: p equiv. < {LEVEL:g}, two one-sided t-tests that the difference is within ±{margin:g}. "
            f"A true difference of {margin:g} would be found with power {power:.2f} or more."
        )
    if any(row.collection == ALL for row in rows):
        lines.append(f"{ALL}: the mean of the collections' means; queries are drawn, collections are those given.")
    if any(row.collections_interval for row in rows):
        lines.append("with collections: t interval over collections and seeds: would it hold on others like these?")
    lines += [
        f"warning: {label[row.run]} against {label[row.against]} on {row.collection}, {row.measure}: a few queries "
        f"carry the difference: {carried(row.carried_by)}"
        for row in rows
        if row.carried_by and row.mark
    ]
    if any(row.uneven and row.recipes for row in rows):
        lines.append(
            "warning: seeds of some systems vary far more than those of others; ▲ ▼ err more often than stated"
        )
    return "\n".join(lines)
