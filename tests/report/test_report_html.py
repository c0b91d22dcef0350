import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
import vl_convert
from typed_results import answers, typed

from limbeck.evaluation import mean_ranks
from limbeck.report import (
    build_table,
    print_report,
    state_finding,
    summary_json,
    to_csv,
    to_html,
    to_latex,
    to_markdown,
)
from limbeck.report.charts import rank_chart
from limbeck.report.curves import cost
from limbeck.report.page import charts_of

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
    text = to_html(typed(results))
    page = Page(text)
    links = page.values("src", "href", "xlink:href", "srcset", "action", "data", "poster")
    assert links
    assert all(link.startswith("#") for link in links)
    styles = text.split("<body>")[0]
    assert all(target.startswith(("#", "data:")) for target in re.findall(r"url\(['\"]?([^)'\"]*)", styles))
    assert "@import" not in styles
    assert not {tag for tag, _, _ in page.attributes} & {"link", "img", "iframe", "object", "embed"}


def test_the_policy_lets_the_pages_own_scripts_run_and_no_other(results: Results) -> None:
    text = to_html(typed(results))
    [policy] = [value for value in Page(text).values("content") if value.startswith("default")]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "unsafe-eval" not in policy
    scripts = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    assert len(scripts) == 3
    for script in scripts:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_every_link_refers_to_one_place_on_the_page(results: Results) -> None:
    results["warnings"] = ["one"]
    text = to_html(typed(results))
    page = Page(text)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    referred = [link[1:] for link in page.values("href") if link.startswith("#")] + page.values("aria-labelledby")
    assert set(referred) <= set(ids)
    assert page.open == []


def test_whatever_comes_from_the_results_is_escaped(
    results: Results, make_queries: Callable[..., dict[str, Any]]
) -> None:
    evil = '<script>alert("x")</script>'
    results.update(name=evil, output=evil, warnings=[evil])
    results["cells"][0].update(state="failed", error=evil)
    renamed = {"BCE": evil, "minilm-3": f"{evil}$x$"}
    for each in (*results["cells"], *results["comparisons"], *(p[s] for p in results["pairwise"] for s in "ab")):
        each.update(recipe=renamed.get(each["recipe"], each["recipe"]), backbone=renamed[each["backbone"]])
    for each in (*results["recipes"], *results["backbones"]):
        each["name"] = renamed.get(each["name"], each["name"])
    for claim in results["over_backbones"]:
        claim.update(a=renamed.get(claim["a"], claim["a"]), differs=[evil])
    text = to_html(typed(results), make_queries(evil))
    assert len(re.findall(r"<script type=\"(?:text/plain|module)\"", text)) == 3 + 3, "what is packed, and what runs"
    assert text.count("alert(&#34;x") > 5
    assert "<script>alert" not in text


def test_what_is_packed_is_what_was_given_and_equal_results_give_equal_pages(
    results: Results, make_queries: Callable[..., dict[str, Any]]
) -> None:
    text = to_html(typed(results), make_queries())
    packed = dict(re.findall(r'<script type="text/plain" id="packed-(\w+)">([A-Za-z0-9+/=]*)</script>', text))
    unpacked = {name: json.loads(gzip.decompress(base64.b64decode(data))) for name, data in packed.items()}
    assert unpacked["queries"] == make_queries()
    entry = unpacked["tables"]["values"]["nDCG@10"]["scifact"][2]
    given = next(c for c in results["comparisons"] if c["collection"] == "scifact" and c["measure"] == "nDCG@10")
    assert entry[0] == pytest.approx(given["mean"], rel=1e-5)
    shown = given["models" if entry[3] in (1, -1) else "recipes"]
    assert entry[6][3] == pytest.approx(shown["corrected_p"], rel=1e-5)
    assert to_html(typed(results), make_queries()) == text


@pytest.mark.filterwarnings("error")
def test_every_chart_is_one_that_vega_lite_understands(make_results: Callable[..., Results]) -> None:
    results = make_results(backbones=("minilm-3", "minilm-6"))
    table = build_table(typed(results))
    names, ranks = ["a", "b", "c"], mean_ranks([[0.3, 0.2, 0.1], [0.3, 0.1, 0.2]])
    charts = [*charts_of(typed(results), table), rank_chart(names, ranks)]
    assert [chart.name for chart in charts] == ["heat", "differences", "scaling", "cost", "loss", "validation", "ranks"]
    for chart in charts:
        assert vl_convert.vegalite_to_vega({**chart.spec, "width": 400, "autosize": "pad"})["marks"]


def test_measured_latency_is_a_cost_beside_the_others(make_results: Callable[..., Results]) -> None:
    results = make_results(backbones=("minilm-3", "minilm-6"))
    results["latency"] = "100 passages, fp32, 2 threads"
    for backbone, milliseconds in zip(results["backbones"], (210.0, 420.0), strict=True):
        backbone["latency_ms"] = milliseconds
    drawn = cost(typed(results), build_table(typed(results)))
    assert drawn is not None
    panel = "ms for a query (100 passages, fp32, 2 threads)"
    assert drawn.spec["facet"]["sort"][0] == panel
    rows = [row for row in drawn.spec["data"]["values"] if row["k"] == panel]
    assert {(row["b"], row["x"]) for row in rows} == {("minilm-3", 210.0), ("minilm-6", 420.0)}


def test_the_mark_rests_on_queries_and_seeds_in_every_format_and_the_note_says_so(results: Results) -> None:
    for row in (*results["comparisons"], *results["pairwise"], *results["over_backbones"]):
        row.update(difference=0.1, **answers(0.001, 0.2))
    for text in (to_html(typed(results)), to_markdown(typed(results)), to_latex(typed(results))):
        assert "t-test over queries and seeds, the variance of seeds pooled over the recipes of a backbone" in text
    # Of ▲ there are only those in the notes.
    assert to_markdown(typed(results)).count("▲") == 3
    assert r"$^{\blacktriangle}$" not in to_latex(typed(results)).split(r"\begin{tabular}")[1].split(r"\end")[0]
    assert ",recipes above" not in to_csv(typed(results))
    assert ",models above" in to_csv(typed(results))
    finding = str(state_finding(typed(results), build_table(typed(results))))
    assert "Every model is above the first stage (bm25) on every collection (△); whether other seeds" in finding
    assert "differ as models, perhaps not as recipes (△)" in finding


def test_a_rehearsal_says_so_above_everything(results: Results) -> None:
    assert "Rehearsal" not in to_html(typed(results))
    text = to_html(typed({**results, "rehearsal": True}))
    assert text.index('<p class="banner"') < text.index("<h1>")
    assert to_markdown(typed({**results, "rehearsal": True})).index("Rehearsal") < 40


def test_suites_that_are_complete_stand_before_collections(results: Results) -> None:
    results["first_stage"]["suites"] = {"pair": {"nDCG@10": 0.64, "RR@10": 0.7}}
    for cell in results["cells"]:
        cell["suites"] = {"pair": dict.fromkeys(results["measures"], 0.7 + cell["seed"] / 100)}
    given = next(c for c in results["comparisons"] if c["recipe"] == "BCE")
    row = {**given, "collection": "pair", "mean": 0.715, "difference": 0.075, **answers(0.001, 0.01)}
    results["suite_comparisons"] = [row]
    table = build_table(typed(results))
    assert table.columns == ("pair", "demo/test", "scifact")
    entries = [row.entry("pair", "nDCG@10") for row in table.rows]
    assert [entry.mean for entry in entries] == [0.64, None, 0.715, 0.715, 0.715]
    assert [entry.mark for entry in entries] == ["", "", "▲", "", ""]
    assert "| recipe | backbone | pair | demo/test | scifact |" in to_markdown(typed(results))


def test_the_counts_of_queries_stand_on_the_page(results: Results) -> None:
    text = re.sub(r"<[^>]*>", " ", to_html(typed(results)))
    assert re.search(r"scifact\s+5,183\s+160\s+159\s+1\s+2\s", text)


def _bare(results: Results) -> None:
    results.update(teachers=[], pairwise=[], audit=[], over_backbones=[], warnings=[])
    for cell in results["cells"]:
        cell.update(curve=[], validation=[])


def _nothing_finished(results: Results) -> None:
    results.update(comparisons=[], pairwise=[], over_backbones=[])
    for cell in results["cells"]:
        cell.update(state="missing", training=None, curve=[], validation=[], values={})


def _odd(results: Results) -> None:
    results["first_stage"].update(values={})
    results["backbones"][0].update(layers=None, parameters=None)
    results["recipes"][0]["stages"][0].update(steps=None, lists_per_step=None)
    results["cells"][0]["values"]["scifact"]["RR@10"] = float("nan")
    results["cells"][0].update(curve=[[10, float("inf")], [20, float("nan")]], validation=[[10, 0.5]])


@pytest.mark.parametrize("impair", [_bare, _nothing_finished, _odd])
@pytest.mark.parametrize("seeds", [1, 2])
def test_what_is_missing_is_stated_and_never_an_error(
    impair: Callable[[Results], None], seeds: int, make_results: Callable[..., Results]
) -> None:
    from rich.console import Console

    results = make_results(seeds=seeds, collections=("scifact",), recipes=("BCE", "RankNet"))
    impair(results)
    text = re.sub(r"<script.*?</script>", "", to_html(typed(results)), flags=re.DOTALL)
    assert Page(text).open == []
    for write in (to_markdown, to_csv, to_latex, summary_json):
        assert write(typed(results))
    print_report(typed(results), Console(quiet=True))
    expected = {
        _bare: ["No teacher was measured", "No validation was recorded", "there are no rankings to explore"],
        _nothing_finished: ["There is no finding yet", "No recipe could be compared", "Cells that did not finish"],
        _odd: ["fewer than two sizes"],
    }[impair]
    assert all(sentence in text for sentence in expected)
    assert ("One seed was trained" in text) == (seeds == 1)
    assert not re.search(r"\b(None|nan|undefined)\b", re.sub(r"<[^>]*>", " ", text.split("</style>", 1)[1]))
