"""`limbeck compare` on runs that nobody here made."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from limbeck.evaluation import Training, Trainings, benjamini_hochberg, compare_all, holm, measure_run, tukey_holm
from limbeck.runs import Run, read_run, write_run

Limbeck = Callable[..., Result]
AsJson = Callable[..., Any]


def shuffled(name: str, split: str, seed: int) -> None:
    """A run that ranks the first stage's candidates by chance."""
    draw = random.Random(seed)
    first = read_run(Path(f"{split}/bm25.run"))
    write_run(
        Run.from_scores(name, {query: {d: draw.random() for d in ranking.docids} for query, ranking in first.items()}),
        Path(split) / f"{name}.run",
    )


@pytest.fixture
def runs(here: Path, limbeck: Limbeck) -> Path:
    """mini/test/*.run and mini/valid/*.run: BM25 and three shuffles."""
    for split in ("mini/test", "mini/valid"):
        Path(f"runs/{split}").mkdir(parents=True)
        limbeck("retrieve", "bm25", "--collection", split, "--depth", 10, "--output", f"runs/{split}/bm25.run")
        for seed in (1, 2, 3):
            shuffled(f"shuffle{seed}", f"runs/{split}", seed)
    return here


def values(split: str, name: str) -> dict[str, float]:
    from limbeck.collections import load_collection

    return measure_run(load_collection(split), read_run(Path(f"runs/{split}/{name}.run")), ["nDCG@10"]).values[
        "nDCG@10"
    ]


TWO = ("--collection", "mini/test", "--collection", "mini/valid", "--measures", "nDCG@10")


def test_several_collections_are_compared_each_and_together(runs: Path, as_json: AsJson) -> None:
    found = as_json("compare", *TWO, "runs/{}/bm25.run", "runs/{}/shuffle1.run", "--margin", 0.1)
    assert [row["collection"] for row in found["comparisons"]] == ["mini/test", "mini/valid", "all collections"]
    data = Trainings.align(
        Training(recipe=name, values={split: values(split, name) for split in ("mini/test", "mini/valid")})
        for name in ("shuffle1", "bm25")
    )
    [expected] = compare_all(data, [([("shuffle1", "")], [("bm25", "")])], margin=0.1, level=0.05 / 3)
    assert expected.models
    row = found["comparisons"][-1]
    for name in ("difference", "randomisation_p", "effect_size", "unknown"):
        assert row[name] == pytest.approx(getattr(expected, name)), name
    for name in ("p", "error", "df", "detectable", "equivalence_p", "margin_power"):
        assert row["models"][name] == pytest.approx(getattr(expected.models, name)), name
    assert row["models"]["interval"] == pytest.approx(expected.models.interval)
    assert (row["recipes"], row["queries"], row["wins"] + row["ties"] + row["losses"]) == (None, 7, 7)
    assert row["mean"] - row["baseline"] == pytest.approx(row["difference"])
    for kind in ("p", "equivalence_p"):
        p = [one["models"][kind] for one in found["comparisons"]]
        assert [one["models"][f"corrected_{kind}"] for one in found["comparisons"]] == holm(p)
    counts = found["collections"][1]["runs"][1]
    assert (counts["system"], counts["run"]) == ("shuffle1", "runs/mini/valid/shuffle1.run")
    assert (counts["queries"], counts["missing"]) == (3, [])


def test_run_files_joined_by_commas_are_seeds_of_one_system(runs: Path, as_json: AsJson, limbeck: Limbeck) -> None:
    seeds = ",".join(f"runs/mini/test/shuffle{n}.run" for n in (1, 2, 3))
    words = ("compare", "--collection", "mini/test", "--measures", "nDCG@10", "runs/mini/test/bm25.run", seeds)
    [row] = as_json(*words)["comparisons"]
    assert row["seeds"] == [3, 1]
    assert row["recipes"]["error"] >= row["models"]["error"]
    assert row["mean"] == pytest.approx(sum(sum(values("mini/test", f"shuffle{n}").values()) for n in (1, 2, 3)) / 12)
    table = limbeck(*words).stdout
    assert "shuffle1 (+2 seeds)" in table
    assert "these recipes" in table
    assert "bm25: taken as one training of several that could be" in " ".join(table.split())
    [fixed] = as_json(*words, "--given", "runs/mini/test/bm25.run")["comparisons"]
    assert fixed["recipes"]["error"] <= row["recipes"]["error"]
    assert "taken as one training" not in limbeck(*words, "--given", "runs/mini/test/bm25.run").stdout


def test_all_pairs_are_corrected_as_one_family(runs: Path, as_json: AsJson, limbeck: Limbeck) -> None:
    files = [f"runs/mini/test/{name}.run" for name in ("bm25", "shuffle1", "shuffle2")]
    words = ("compare", "--collection", "mini/test", "--all-pairs", "--correction", "bh", *files)
    found = as_json(*words)
    assert (found["baseline"], found["correction"]) == (None, "Benjamini–Hochberg")
    models = [row["models"] for row in found["comparisons"]]
    assert [(row["run"], row["against"]) for row in found["comparisons"] if row["measure"] == "nDCG@10"] == [
        (files[1], files[0]), (files[2], files[0]), (files[2], files[1])
    ]  # fmt: skip
    assert len(models) == 6
    p = [one["p"] for one in models]
    assert [one["corrected_p"] for one in models] == benjamini_hochberg(p)
    assert "shuffle2 − shuffle1" in limbeck(*words).stdout
    by_holm = [row["models"] for row in as_json(*words[:5], "holm", *files)["comparisons"]]
    assert [one["corrected_p"] for one in by_holm] == tukey_holm(p, [one["df"] for one in models], 3, 2)
    uncorrected = [row["models"] for row in as_json(*words[:5], "none", *files)["comparisons"]]
    assert all(one["corrected_p"] == one["p"] for one in uncorrected)
    assert all(a["detectable"] < b["detectable"] for a, b in zip(uncorrected, models, strict=True))


def test_a_table_is_never_cut_however_narrow_the_terminal(
    runs: Path, limbeck: Limbeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = limbeck("compare", *TWO, "runs/{}/bm25.run", "runs/{}/shuffle1.run", "--margin", 0.1).stdout
    rows = [line.split() for line in shown.splitlines() if line.strip().startswith("shuffle1")]
    assert len(rows) == 3
    assert all(len(row) >= 11 for row in rows)
    for column in ("these models", "win/tie/loss", "detectable", "p equiv."):
        assert shown.count(column) >= 3


def test_a_query_without_candidates_counts_as_zero_and_is_said(runs: Path, limbeck: Limbeck) -> None:
    lines = [line for line in Path("runs/mini/test/bm25.run").read_text().splitlines() if not line.startswith("q8 ")]
    Path("part.run").write_text("\n".join(lines) + "\n")
    result = limbeck("compare", "--collection", "mini/test", "runs/mini/test/bm25.run", "part.run")
    assert "part.run: no candidates for 1 of 4 judged queries of mini/test; they count as 0" in result.stderr


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (2, "is given twice", ("--collection", "mini/test", "runs/mini/test/bm25.run", "runs/mini/test/bm25.run")),
        (2, "names a seed twice", ("--collection", "mini/test", "runs/mini/test/bm25.run",
                                   "runs/mini/test/shuffle1.run,runs/mini/test/shuffle1.run")),
        (2, "names one of mini/test, mini/test twice", ("--collection", "mini/test", "--collection", "mini/test",
                                                        "a.run", "b.run")),
        (2, "--given x.run; expected one of the runs", ("--collection", "mini/test", "--given", "x.run",
                                                        "runs/mini/test/bm25.run", "runs/mini/test/shuffle1.run")),
        (2, "write {} where the collection's name", (*TWO, "runs/{}/bm25.run", "runs/mini/test/shuffle1.run")),
        (3, "runs/mini/test/absent.run: no such file; {} in", (*TWO, "runs/{}/bm25.run", "runs/{}/absent.run")),
        (5, "ranks none of the 4 judged queries", ("--collection", "mini/test", "runs/mini/test/bm25.run",
                                                   "runs/mini/valid/bm25.run")),
        (2, "margin", ("--collection", "mini/test", "--margin", 0, "runs/mini/test/bm25.run",
                       "runs/mini/test/shuffle1.run")),
        (2, "unknown measure", ("--collection", "mini/test", "runs/mini/test/bm25.run", "runs/mini/test/shuffle1.run",
                                "--measures", "nDCG@10", "NDGC@5")),
    ],
)  # fmt: skip
def test_mistakes_are_named(code: int, text: str, words: tuple[object, ...], runs: Path, limbeck: Limbeck) -> None:
    result = limbeck("compare", *words, code=code)
    assert text in " ".join(result.stderr.split())
    assert result.stdout == ""
