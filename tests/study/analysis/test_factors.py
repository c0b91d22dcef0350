"""The figures whose variance is analysed, and the verb that does it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from limbeck.cli import app
from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.evaluation import analyse_factors
from limbeck.study.analysis.factors import figures, read_table, select
from limbeck.study.analysis.gather import gather, gather_table

HEAD = "backbone,objective,collection,measure,seed,value\n"


def table(path: Path, change: str = "") -> Path:
    """Two backbones × two objectives × five collections × two seeds, two measures; one row without a value."""
    rows = [
        f"{b},{o},c{c},{m},{s},{0.1 * (b == 'large') + 0.2 * (o == 'InfoNCE') + 0.05 * c}"
        for b in ("small", "large")
        for o in ("BCE", "InfoNCE")
        for c in range(5)
        for m in ("nDCG@10", "AP")
        for s in (1, 2)
    ]
    path.write_text(HEAD + "\n".join([*rows, "small,BCE,c9,nDCG@10,1,"]) + "\n" + change)
    return path


def test_a_table_is_analysed_by_its_factors(tmp_path: Path) -> None:
    read = read_table(table(tmp_path / "t.csv"))
    assert read.skipped == 1
    data = figures(select(read, {"measure": ["nDCG@10"]}))
    assert (data.factors, data.levels) == (("backbone", "objective"), (("small", "large"), ("BCE", "InfoNCE")))
    assert data.collections == ("c0", "c1", "c2", "c3", "c4")
    assert [values.shape for values in data.values] == [(2, 5)] * 4
    [ratio] = analyse_factors(data, samples=10).ratios
    assert (ratio.a, ratio.b, ratio.ratio) == ("objective", "backbone", pytest.approx(2))


def test_a_study_is_analysed_by_backbone_objective_and_negatives(finished: Path) -> None:
    results, read = gather(finished), gather_table(finished)
    assert {row["recipe"] for _, row in read.rows} == {"BCE", "TwoStage"}
    some = select(read, {"measure": ["nDCG@10"]})
    data = figures(some, ["objective"])
    assert len(data.values) == 2
    assert all(values.shape == (2, 1) for values in data.values)
    found = analyse_factors(data, samples=10)
    assert [share.term for share in found.shares] == ["objective", "seed"]
    # The claim and the factor are one difference of the same trainings: they cannot say two things of it.
    [claim], [span] = results.over_backbones, found.spans
    assert found.units == "queries"
    assert span.difference == pytest.approx(abs(claim.difference))
    for question in ("models", "recipes"):
        bounds = getattr(claim, question).interval
        ends = bounds if claim.difference > 0 else (-bounds[1], -bounds[0])
        assert getattr(span, question) == pytest.approx(ends), question


@pytest.mark.parametrize(
    ("error", "text", "change", "conditions", "factors"),
    [
        (UsageError, "several measures; choose one of nDCG@10, AP", "", {}, ()),
        (UsageError, 'no column "objectiv"; did you mean "objective"', "", {"measure": ["AP"]}, ("objectiv",)),
        (UsageError, 'no column "meausre"; did you mean "measure"', "", {"meausre": ["AP"]}, ()),
        (UsageError, 'no row has backbone "larg"; did you mean "large"', "", {"backbone": ["larg"]}, ()),
        (UsageError, "seed is no factor", "", {"measure": ["AP"]}, ("objective", "seed")),
        (UsageError, "one level explains nothing: objective (BCE)", "", {"measure": ["AP"], "objective": ["BCE"]},
         ("backbone", "objective")),
        (UsageError, "no factor varies", "", {"measure": ["AP"], "backbone": ["small"], "objective": ["BCE"]}, ()),
        (UsageError, "no row meets all", "small,Hinge,c0,RR,1,0\n", {"measure": ["AP"], "objective": ["Hinge"]}, ()),
        (DataError, ":83: a second value for backbone small, objective BCE, seed 1, collection c0, beside",
         "small,BCE,c0,AP,1,0.5\n", {"measure": ["AP"]}, ()),
        (DataError, "backbone small, objective Hinge, seed 1 has no value on c1, c2, c3, c4",
         "small,Hinge,c0,AP,1,0.5\n", {"measure": ["AP"]}, ()),
        (DataError, 't.csv:83: the value "much" is no finite number', "small,Hinge,c0,AP,1,much\n",
         {"measure": ["AP"]}, ()),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_analysed_is_refused(
    tmp_path: Path, error: type[Exception], text: str, change: str, conditions: dict[str, list[str]],
    factors: tuple[str, ...],
) -> None:  # fmt: skip
    with pytest.raises(error) as raised:
        figures(select(read_table(table(tmp_path / "t.csv", change)), conditions), factors)
    assert text in str(raised.value)


def test_a_file_that_is_no_table_of_figures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such file"):
        read_table(tmp_path / "absent.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"other.csv:1: no column collection or value; there are a, b"):
        read_table(tmp_path / "other.csv")
    (tmp_path / "latin.csv").write_bytes(f"{HEAD}caf\xe9,BCE,c0,AP,1,0.5\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin.csv: not CSV in UTF-8"):
        read_table(tmp_path / "latin.csv")
    (tmp_path / "empty.csv").write_text(HEAD)
    with pytest.raises(DataError, match="no row has a value"):
        read_table(tmp_path / "empty.csv")


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv")
    plain = read_table(path)
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert read_table(path) == plain


def test_a_value_with_commas_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    values = [("BCE", "colbert, positives=1", 1), ("InfoNCE", "colbert, positives=1", 2), ("BCE", "bm25", 3)]
    path.write_text("objective,negatives,collection,value\n" + "".join(f'{o},"{n}",c,{v}\n' for o, n, v in values))
    words = ["study", "factors", str(path), "--where", "negatives=colbert, positives=1", "--json"]
    found = json.loads(CliRunner().invoke(app, words).stdout)
    assert (found["factors"], found["configurations"]) == ({"objective": ["BCE", "InfoNCE"]}, 2)


def test_the_verb_prints_shares_effects_and_the_ratio(tmp_path: Path) -> None:
    path = str(table(tmp_path / "t.csv"))
    shown = CliRunner().invoke(app, ["study", "factors", path, "--measure", "AP"])
    assert shown.exit_code == 0, shown.output
    assert "objective × collection" in shown.stdout
    assert "The figures spread 2.00 [2.00, 2.00] times as far over objective as over backbone" in shown.stdout
    assert "objective, highest less lowest: InfoNCE − BCE +0.2000" in shown.stdout
    assert "1 row without a value" in shown.stderr
    words = ["study", "factors", path, "--measure", "AP", "--where", "seed=1", "--factor", "objective", "--json"]
    refused = CliRunner().invoke(app, words)
    assert (refused.exit_code, refused.stdout) == (5, "")
    found = json.loads(CliRunner().invoke(app, [*words, "--where", "backbone=small"]).stdout)
    assert (found["measure"], found["factors"], found["seeds"]) == ("AP", {"objective": ["BCE", "InfoNCE"]}, [1, 1])
    assert {share["term"] for share in found["shares"]} == {"collection", "objective", "objective × collection"}
    assert CliRunner().invoke(app, ["study", "factors", path, "--where", "seed"]).exit_code == 2
