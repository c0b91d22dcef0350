import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from limbeck.report.examples import show_examples

from limbeck.report import print_report, summary_json, to_csv, to_html, to_latex, to_markdown

Results = dict[str, Any]
_VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use", "circle", "rect"}


class Page(HTMLParser):
    """Collects attributes and ids, and checks that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def values(self, *names: str) -> list[str]:
        return [value for _, name, value in self.attributes if name in names]


def test_the_page_asks_for_nothing_from_outside(results: Results) -> None:
    text = to_html(results)
    page = Page(text)
    links = page.values("src", "href", "xlink:href", "srcset", "action", "data", "poster")
    assert links
    assert all(link.startswith("#") for link in links)
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)'\"]*)", text))
    assert "@import" not in text
    assert not {tag for tag, _, _ in page.attributes} & {"link", "img", "iframe", "object", "embed"}


def test_every_link_and_drawing_refers_to_one_place_on_the_page(results: Results) -> None:
    results["warnings"] = ["one"]
    text = to_html(results)
    page = Page(text)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    referred = [link[1:] for link in page.values("href", "aria-labelledby") if link.startswith("#")]
    referred += re.findall(r"url\(#([^)]*)\)", text)
    assert set(referred) <= set(ids)
    assert page.open == []


def test_whatever_comes_from_the_results_is_escaped(results: Results) -> None:
    evil = '<script>alert("x")</script>'
    example = results["examples"][0]
    example["query"] = example["query_id"] = example["before"][0]["text"] = example["before"][0]["docid"] = evil
    results.update(name=evil, output=evil, warnings=[evil])
    results["cells"][0].update(state="failed", error=evil)
    renamed = {"BCE": evil, "minilm-3": f"{evil}$x$"}
    for each in (*results["cells"], *results["comparisons"], *(p[s] for p in results["pairwise"] for s in "ab")):
        each.update(recipe=renamed.get(each["recipe"], each["recipe"]), backbone=renamed[each["backbone"]])
    for each in (*results["recipes"], *results["backbones"]):
        each["name"] = renamed.get(each["name"], each["name"])
    text = to_html(results)
    assert text.count("<script") == 1
    assert "alert" in text
    assert "<script>alert" not in text


@pytest.mark.parametrize("why", ["gain", "loss", "typical"])
def test_an_example_is_labelled_and_shows_grades_and_movements(why: str, results: Results) -> None:
    results["examples"] = [{**results["examples"][0], "why": why}]
    text = to_html(results)
    assert re.search(rf'<span class="tag \w+">{why}</span>', text)
    (example,) = show_examples(results)
    assert [(p.docid, p.grade, p.move) for p in example.before] == [
        ("d1", 0, "↓2"),
        ("d2", None, "↓out"),
        ("d3", 2, "↑2"),
        ("d4", 1, "↑2"),
    ]
    assert [(p.docid, p.move) for p in example.after] == [("d3", "↑2"), ("d4", "↑2"), ("d1", "↓2"), ("d31", "↑new")]
    for grade in ("grade g0", "grade g1", "grade g2", "grade unjudged"):
        assert text.count(f'class="{grade}"') >= 2  # the key, and a passage


def test_the_counts_of_queries_stand_on_the_page(results: Results) -> None:
    text = re.sub(r"<[^>]*>", " ", to_html(results))
    assert re.search(r"scifact\s+5,183\s+160\s+159\s+1\s+2\s", text)


def _bare(results: Results) -> None:
    results.update(teachers=[], pairwise=[], audit=[], examples=[], warnings=[])
    for cell in results["cells"]:
        cell.update(curve=[], validation=[])


def _nothing_finished(results: Results) -> None:
    results.update(comparisons=[], pairwise=[], examples=[])
    for cell in results["cells"]:
        cell.update(state="missing", training=None, curve=[], validation=[], values={})


def _odd(results: Results) -> None:
    results["first_stage"].update(values={}, counts={}, depth=None)
    results["backbones"][0].update(layers=None, parameters=None)
    results["recipes"][0]["stages"][0].update(steps=None, sample=None)
    results["cells"][0]["values"]["scifact"]["RR@10"] = float("nan")
    results["cells"][0].update(curve=[[10, None], [20, float("nan")]], validation=[[10, 0.5]])
    results["examples"][0].update(before=[], after=[])
    results["seconds"] = None


@pytest.mark.parametrize("impair", [_bare, _nothing_finished, _odd])
@pytest.mark.parametrize("seeds", [1, 2])
def test_what_is_missing_is_stated_and_never_an_error(
    impair: Callable[[Results], None], seeds: int, make_results: Callable[..., Results]
) -> None:
    from rich.console import Console

    results = make_results(seeds=seeds, collections=("scifact",), recipes=("BCE", "RankNet"))
    impair(results)
    text = to_html(results)
    assert Page(text).open == []
    for write in (to_markdown, to_csv, to_latex, summary_json):
        assert write(results)
    print_report(results, Console(quiet=True))
    expected = {
        _bare: ["No teacher was measured", "No validation was recorded", "There are no example rankings"],
        _nothing_finished: ["There is no finding yet", "No recipe could be compared", "Cells that did not finish"],
        _odd: ["No candidates."],
    }[impair]
    assert all(sentence in text for sentence in expected)
    assert ("One seed was trained" in text) == (seeds == 1)
    assert not re.search(r"\b(None|nan|undefined)\b", re.sub(r"<[^>]*>", " ", text.split("</style>", 1)[1]))
