"""The verb compare: paired statistics of anyone's runs."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from limbeck.cli.output import Json, load, p_value, print_json, print_table, warn
from limbeck.cli.runs import Measures, as_json, split_words
from limbeck.cli.systems import System, name_systems
from limbeck.errors import UsageError

if TYPE_CHECKING:
    from limbeck.evaluation import Evaluation, Paired

LEVEL = 0.05
ALL = "all collections"
NAMES = {"holm": "Holm", "bh": "Benjamini–Hochberg", "none": "none"}

Measured = dict[str, dict[System, list["Evaluation"]]]
"""Collection → system → one evaluation per seed."""


def add_to(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("compare", context_settings={"allow_extra_args": True})(compare)


def compare(
    ctx: typer.Context,
    collection: Annotated[
        list[str],
        typer.Option(
            help="Folder in BEIR's layout or FOLDER/SPLIT, ir_datasets id, or demo; once for each of several."
        ),
    ],
    run: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_A RUN_B...",
            help="Baseline first, then the others. A.run,B.run are seeds of one system; {} stands for the collection.",
        ),
    ],
    measures: Measures = None,
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
    if len(set(collection)) < len(collection):
        raise UsageError(f"--collection names one of {', '.join(collection)} twice")
    systems = name_systems(words, several=len(collection) > 1)
    measured = {place: _measure(place, systems, names) for place in collection}
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
    _print(rows, systems, all_pairs, margin, correction)


def _couples(systems: Sequence[System], all_pairs: bool) -> list[tuple[System, System]]:
    """The pairs (a, b) whose difference a − b is shown: the later against the earlier."""
    if all_pairs:
        return [(a, b) for b, a in combinations(systems, 2)]
    return [(a, systems[0]) for a in systems[1:]]


def _measure(place: str, systems: Sequence[System], measures: Sequence[str]) -> dict[System, list["Evaluation"]]:
    from limbeck.evaluation import measure_run
    from limbeck.runs import read_run

    data = load(place)
    found = {
        system: [measure_run(data, read_run(path), measures) for path in system.files(place)] for system in systems
    }
    warn(
        f"{path}: no candidates for {len(one.missing)} of {one.queries} judged queries of {place}; they count as 0"
        for system, seeds in found.items()
        for path, one in zip(system.files(place), seeds, strict=True)
        if one.missing
    )
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


def _print(
    rows: list[dict[str, Any]], systems: Sequence[System], all_pairs: bool, margin: float | None, correction: str
) -> None:
    label = {system.word: system.label for system in systems}
    seeds = any(row["seeds_p"] is not None for row in rows)
    columns = ["run", "mean", "difference", "95 % interval", "effect", "win/tie/loss", "p rand.", "p t"]
    columns += ["p seeds"] * seeds + ["detectable"] + ["p equiv."] * (margin is not None)
    for scope, measure in dict.fromkeys((row["collection"], row["measure"]) for row in rows):
        some = [row for row in rows if (row["collection"], row["measure"]) == (scope, measure)]
        against = "" if all_pairs else f", against {label[some[0]['against']]} ({some[0]['baseline']:.4f})"
        title = f"{measure} on {scope}, {some[0]['queries']} queries{against}"
        wide = ["with collections"] if some[0]["collections_interval"] else []
        print_table(columns + wide, [_cells(row, label, all_pairs, seeds) for row in some], title=title)
    typer.echo(_legend(rows, seeds, margin, correction))


def _cells(row: dict[str, Any], label: dict[str, str], all_pairs: bool, seeds: bool) -> list[str]:
    name = label[row["run"]] + (f" − {label[row['against']]}" if all_pairs else "")
    effect, detectable = row["effect_size"], row["detectable"]
    cells = [
        name,
        f"{row['mean']:.4f}",
        f"{_mark(row)} {row['difference']:+.4f}",
        _interval(row["ci"]),
        "—" if effect is None else f"{effect:+.2f}",
        f"{row['wins']}/{row['ties']}/{row['losses']}",
        p_value(row["corrected_randomisation_p"]),
        p_value(row["corrected_t_p"]),
    ]
    if seeds:
        cells.append("—" if row["corrected_seeds_p"] is None else p_value(row["corrected_seeds_p"]))
    cells.append("—" if detectable is None else f"{detectable:.4f}")
    if row["corrected_equivalence_p"] is not None:
        cells.append(p_value(row["corrected_equivalence_p"]))
    if row["collections_interval"]:
        cells.append(_interval(row["collections_interval"]))
    return cells


def _interval(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:+.3f} … {bounds[1]:+.3f}"


def _mark(row: dict[str, Any]) -> str:
    equivalent = row["corrected_equivalence_p"]
    if row["corrected_randomisation_p"] < LEVEL and row["difference"]:
        return "▲" if row["difference"] > 0 else "▼"
    return "=" if equivalent is not None and equivalent < LEVEL else " "


def _legend(rows: list[dict[str, Any]], seeds: bool, margin: float | None, correction: str) -> str:
    from limbeck.report.formats import plural

    level = LEVEL if correction == "none" else LEVEL / len(rows)
    how = "not corrected" if correction == "none" else f"{NAMES[correction]}-corrected over {plural(len(rows), 'row')}"
    drawn = "queries and seeds" if seeds else "queries"
    lines = [
        f"▲ ▼ significantly better, worse: p rand. < {LEVEL}. p rand.: randomisation test; p t: paired t-test; over "
        f"queries, two-sided, {how}.",
        f"95 % interval: bootstrap over {drawn}. effect: difference in standard deviations of queries' differences.",
        f"detectable: the true difference that a t-test over {drawn} finds with power 0.8 at level {level:.2g}.",
    ]
    if seeds:
        lines.append("p seeds: t-test over queries and seeds: would it hold for other seeds?")
    if margin is not None:
        power = min(row["margin_power"] for row in rows)
        lines.append(
            f"= equivalent: p equiv. < {LEVEL}, two one-sided t-tests that the difference is within ±{margin:g}. "
            f"A true difference of {margin:g} would be found with power {power:.2f} or more."
        )
    if any(row["collection"] == ALL for row in rows):
        lines.append(f"{ALL}: the mean of the collections' means; queries are drawn, collections are those given.")
    if any(row["collections_interval"] for row in rows):
        lines.append(f"with collections: bootstrap over collections and {drawn}: would it hold on others like these?")
    return "\n".join(lines)
