import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typed_results import typed

from limbeck.core.errors import MissingError
from limbeck.report import build_table, print_report, to_csv, to_html, to_latex, to_markdown, write_report
from limbeck.report import page as page_module

Results = dict[str, Any]


def printed(results: Results, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_report(typed(results), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def visible(html: str) -> str:
    """What stands on the page before its scripts draw tables; test_report_page.py looks at those."""
    still = re.sub(r"<script.*?</script>", "", html.split("</style>", 1)[1], flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", still))


WRITERS: dict[str, Callable[[Results], str]] = {
    "terminal": printed,
    "markdown": lambda results: to_markdown(typed(results)),
    "latex": lambda results: to_latex(typed(results)),
    "html": lambda results: visible(to_html(typed(results))),
}


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"html"}))
def test_every_format_shows_the_numbers_of_the_input(name: str, results: Results) -> None:
    text = WRITERS[name](results)
    for comparison in results["comparisons"]:
        mean, std = f"{comparison['mean']:.3f}", f"{comparison['std']:.3f}"
        assert re.search(rf"{re.escape(mean)}[}}*]* ?({{\\scriptsize)?\$?(±|\\pm)\$? ?{re.escape(std)}", text)
    for given in (results["first_stage"], *results["teachers"]):
        for values in given["values"].values():
            assert all(f"{value:.3f}" in text for value in values.values())


@pytest.mark.parametrize("name", WRITERS)
def test_no_format_averages_over_fewer_seeds_without_saying_so(
    name: str, results: Results, lose_cell: Callable[..., None]
) -> None:
    lose_cell(results, "InfoNCE", 2)
    lose_cell(results, "BCE", 1, state="missing")
    lose_cell(results, "BCE", 2, state="running")
    text = " ".join(WRITERS[name](results).split())
    assert "InfoNCE on minilm-3: the mean is over 1 of 2 seeds (seed 2 failed)." in text
    assert "BCE on minilm-3: no value, none of 2 seeds finished." in text
    if name != "html":
        assert ("(1/2)" if name == "latex" else "1 of 2 seeds") in text
    if name != "latex":
        assert "loss is NaN at step 17" in text


def test_csv_parses_back_into_every_value_in_full_precision(results: Results, lose_cell: Callable[..., None]) -> None:
    lose_cell(results, "BCE", 1)
    rows = list(csv.DictReader(io.StringIO(to_csv(typed(results)))))
    found = {
        tuple(row[key] for key in ("kind", "backbone", "recipe", "collection", "measure", "seed")): row for row in rows
    }
    assert len(found) == len(rows) == 2 * 2 * (1 + 1 + 3 * (2 + 1))
    for cell in results["cells"]:
        for collection in ("demo/test", "scifact"):
            key = ("recipe", cell["backbone"], cell["recipe"], collection, "RR@10", str(cell["seed"]))
            value = cell["values"].get(collection, {}).get("RR@10")
            assert found[key]["value"] == ("" if value is None else repr(value))
            assert found[key]["state"] == cell["state"]
    for comparison in results["comparisons"]:
        key = ("recipe", *(comparison[k] for k in ("backbone", "recipe", "collection", "measure")), "mean")
        row = found[key]
        assert float(row["value"]) == comparison["mean"]
        assert float(row["difference"]) == comparison["difference"]
        recipes, models = comparison["recipes"]["corrected_p"], comparison["models"]["corrected_p"]
        above = "above" if comparison["difference"] > 0 else "below"
        mark = f"recipes {above}" if recipes < 0.05 else f"models {above}" if models < 0.05 else ""
        assert row["mark"] == mark
        assert float(row["corrected_p"]) == (models if mark.startswith("models") else recipes)
        assert (row["seeds_done"], row["seeds_planned"]) == ("1" if comparison["recipe"] == "BCE" else "2", "2")
    assert found["first stage", "", "bm25", "scifact", "nDCG@10", ""]["value"] == "0.668"


def test_latex_escapes_what_it_would_read_as_a_command(results: Results) -> None:
    results["name"] = r"50% of a_b & c #1 \x {y} ~ ^ $"
    results["backbones"][0]["name"] = "a_b"
    for each in (*results["cells"], *results["comparisons"]):
        each["backbone"] = "[a_b*]"
    text = to_latex(typed(results))
    assert r"50\% of a\_b \& c \#1 \textbackslash{}x \{y\} \textasciitilde{} \textasciicircum{} \$: nDCG@10" in text
    assert r"{[}a\_b{*}] & BCE & " in text
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[%#]", body)
    assert body.isascii()


def test_latex_tables_are_whole_and_their_rows_equally_wide(results: Results) -> None:
    text = to_latex(typed(results))
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 2
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {3}
    assert text.count("{") == text.count("}")


def test_latex_marks_are_superscripts_where_the_table_has_marks(results: Results) -> None:
    text = to_latex(typed(results))
    entries = [entry for row in build_table(typed(results)).rows for entry in row.entries.values()]
    assert text.count(r"$^{\blacktriangle}$") == sum(entry.mark == "▲" for entry in entries) + 2  # captions
    assert r"\usepackage{booktabs}" in text


def test_markdown_tables_survive_bars_and_stars_in_names(results: Results) -> None:
    results["recipes"][0]["name"] = "a|b*"
    for each in (*results["cells"], *results["comparisons"]):
        each["recipe"] = "a|b*" if each["recipe"] == "BCE" else each["recipe"]
    lines = [line for line in to_markdown(typed(results)).splitlines() if line.startswith(r"| a\|b\* |")]
    assert len(lines) == 2
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


def test_the_audit_stands_beside_the_p_value_of_a_pair(results: Results) -> None:
    text = to_markdown(typed(results))
    assert "differs also in: candidates, signal, passages per step, tokens seen" in text
    assert "differs in nothing but the objective" in text


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_cuts_no_number(width: int, make_results: Callable[..., Results]) -> None:
    results = make_results(collections=("demo/test", "scifact", "trec-dl-20", "cranfield"))
    text = printed(results, width)
    assert max(map(len, text.splitlines())) <= width
    for comparison in results["comparisons"]:
        assert f"{comparison['mean']:.3f} ±{comparison['std']:.3f}" in text


def test_a_report_is_five_files_with_equal_bytes_for_equal_results(results: Results, tmp_path: Path) -> None:
    results["cells"][0]["training"]["best_value"] = float("nan")
    paths = write_report(typed(results), tmp_path / "new" / "report")
    assert [path.name for path in paths] == ["report.html", "report.md", "results.csv", "table.tex", "results.json"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_report(typed(results), paths[0].parent)] == before
    written = json.loads(before[-1])
    assert set(written) >= set(results)
    assert written["cells"][0]["training"]["best_value"] is None
    assert [cell["values"] for cell in written["cells"]] == [cell["values"] for cell in results["cells"]]
    pair, given = written["pairwise"][0], results["pairwise"][0]
    assert pair["recipes"].items() >= given.pop("recipes").items()
    assert pair["models"].items() >= given.pop("models").items()
    assert {key: pair[key] for key in given} == given


def test_a_file_that_cannot_be_finished_leaves_the_old_one_and_no_other(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.html").write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page_module.os, "fsync", full)
    with pytest.raises(MissingError, match="No space left"):
        write_report(typed(results), tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.html", "old")]


def test_names_are_text_in_every_format_whatever_stands_in_them(results: Results) -> None:
    evil = '=HYPERLINK("http://x.example")\x1b[31m\u202e'
    results["recipes"][0]["name"] = evil
    for each in (*results["cells"], *results["comparisons"], *(pair["a"] for pair in results["pairwise"])):
        each["recipe"] = evil if each["recipe"] == "BCE" else each["recipe"]
    rows = csv.DictReader(io.StringIO(to_csv(typed(results))))
    assert {row["recipe"] for row in rows if "HYPERLINK" in row["recipe"]} == {
        '\'=HYPERLINK("http://x.example")\\x1b[31m\\u202e'
    }
    for text in (to_markdown(typed(results)), to_latex(typed(results)), visible(to_html(typed(results)))):
        assert "x1b" in text
        assert not {"\x1b", "\u202e"} & set(text)
