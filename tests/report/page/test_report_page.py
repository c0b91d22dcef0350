"""The page in a browser, as a reader uses it."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from typed_results import answers

if TYPE_CHECKING:
    from playwright.sync_api import Page

Results = dict[str, Any]
Open = Callable[..., "Page"]


def column(page: "Page", table: str, place: int) -> list[str]:
    cells = page.locator(f"#{table} tbody tr td:nth-child({place})").all_inner_texts()
    return [" ".join(cell.split()) for cell in cells]


def explore(page: "Page", **chosen: str) -> None:
    page.locator("#explorer").scroll_into_view_if_needed()
    page.wait_for_selector("#explorer-list[data-ready]")
    for label, value in chosen.items():
        page.locator("#explorer-choices label", has_text=re.compile(rf"^{label} ")).locator("select").select_option(
            label=value
        )


def test_tables_show_every_mean_sort_filter_and_change_with_measure_and_collection(
    open_page: Open, results: Results
) -> None:
    page = open_page(results)
    shown = column(page, "main-table", 4)
    for row, recipe in zip(shown[2:], ("BCE", "InfoNCE", "RankNet"), strict=True):
        given = next(
            c for c in results["comparisons"]
            if (c["recipe"], c["collection"], c["measure"]) == (recipe, "scifact", "nDCG@10")
        )  # fmt: skip
        assert row.startswith(f"{given['mean']:.3f}")
        assert f"±{given['std']:.3f}" in row
    header = page.locator("#main-table thead th").nth(3)
    header.click()
    page.wait_for_selector("#main-table th[aria-sort=ascending]")
    ascending = [float(text[:5]) for text in column(page, "main-table", 4)]
    assert ascending == sorted(ascending)
    header.locator("[role=button]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#main-table th[aria-sort=descending]")
    descending = [float(text[:5]) for text in column(page, "main-table", 4)]
    assert descending == ascending[::-1] != ascending

    page.get_by_label("Filter").first.fill("RankNet")
    assert column(page, "main-table", 1) == ["RankNet"]
    page.locator("#column-choices select").nth(0).select_option("scifact")
    page.locator("#column-choices select").nth(1).select_option("RR@10")
    given = next(
        c for c in results["comparisons"]
        if (c["recipe"], c["collection"], c["measure"]) == ("BCE", "scifact", "RR@10")
    )  # fmt: skip
    row = page.locator("#column-table tbody tr").nth(2).inner_text()
    assert f"{given['mean']:.3f}" in row
    assert all(f"{value:.3f}" in row for value in given["seeds"])
    assert "differs in nothing but the objective" in page.locator("#pairs-table").inner_text()


def test_the_explorer_orders_queries_by_gain_and_loss_shows_what_moved_and_is_within_reach_of_the_keyboard(
    open_page: Open, results: Results, make_queries: Callable[..., Results]
) -> None:
    page = open_page(results, make_queries())
    explore(page, A="bm25 · first stage", B="RankNet · minilm-3 · seed 1")
    first = page.locator("#explorer-list button").first
    assert first.inner_text() == "+0.390 why does sourdough starter 59 smell"
    assert "60 of 160 queries" in page.locator("#explorer-summary").inner_text()
    assert "better on 39, worse on 20, equal on 1" in page.locator("#explorer-summary").inner_text()
    explore(page, Order="largest loss first")
    assert first.inner_text().startswith("−0.200 why does sourdough starter 0 ")
    moves = page.locator("#explorer-detail .rankings > div").nth(1).locator("li")
    assert [re.sub(r"\s+", " ", text) for text in moves.all_inner_texts()] == [
        "1 ↑2 up from rank 3 2 d2 Passage 2 on starter.",
        "2 ↓1 down from rank 1 0 d0 Passage 0 on starter.",
        "3 ↑1 up from rank 4 1 d3 Passage 3 on starter.",
        "4 ↑new up from below rank 4 0 d4 Passage 4 on starter.",
    ]
    explore(page, B="minilm · teacher")
    assert first.inner_text().startswith("+0.500")
    page.locator("#explorer-choices input").fill("starter 7 ")
    assert page.locator("#explorer-list button").count() == 1
    page.locator("#explorer-choices input").fill("")
    page.locator("#explorer-list button.more").click()
    assert page.locator("#explorer-list button").count() == 60

    page.locator("#explorer-choices input").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    pressed = page.locator("#explorer-list button[aria-pressed=true]")
    assert pressed.inner_text() == page.locator("#explorer-list button").nth(1).inner_text()
    assert pressed.inner_text().endswith(page.locator("#explorer-detail h3").inner_text())
    page.locator("#explorer-detail summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#explorer-detail details").first.get_attribute("open") is not None


def test_text_from_data_is_shown_and_never_run(
    open_page: Open, results: Results, make_queries: Callable[..., Results]
) -> None:
    evil = "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
    old = {"BCE": f"BCE{evil}", "minilm-3": f"minilm-3{evil}", "scifact": f"scifact{evil}"}

    def rename(value: Any) -> Any:
        if isinstance(value, dict):
            return {old.get(key, key): rename(item) for key, item in value.items()}
        if isinstance(value, list):
            return [rename(item) for item in value]
        return old.get(value, value) if isinstance(value, str) else value

    results = rename({**results, "warnings": [evil], "name": f"study{evil}"})
    results["cells"][0].update(state="failed", error=evil)
    page = open_page(results, make_queries(evil))
    explore(page)
    page.locator("#explorer-detail summary").first.click()
    assert evil in page.locator("#explorer-detail summary").first.inner_text()
    assert evil in page.locator("#explorer-list button").first.inner_text()
    assert column(page, "main-table", 1)[2] == f"BCE{evil}"
    # A chart cuts long labels.
    assert f"BCE{evil[:20]}" in page.locator("figure[data-chart=heat] svg.marks").text_content()
    page.locator("figure[data-chart=heat]").scroll_into_view_if_needed()
    box = page.locator("figure[data-chart=heat] svg.marks").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] - 12)
    assert "<script>" in page.locator("#vg-tooltip-element").inner_text()
    assert page.evaluate("() => window.ran") is None
    assert page.locator("img").count() == 0


def test_print_has_charts_and_tables_but_no_controls(
    open_page: Open, make_results: Callable[..., Results], make_queries: Callable[..., Results]
) -> None:
    page = open_page(make_results(("minilm-3", "minilm-6"), ("BCE", "RankNet", "Two-stage")), make_queries())
    explore(page)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("figure[data-chart=heat] svg.marks").is_visible()
    assert page.locator("#explorer-detail li").first.is_visible()
    assert not any(page.locator(hidden).first.is_visible() for hidden in ("nav", ".choices", ".dt-search"))
    assert page.pdf().startswith(b"%PDF")


def test_every_difference_has_a_point_that_is_seen_filled_where_significant(open_page: Open, results: Results) -> None:
    rows = [c for c in results["comparisons"] if (c["collection"], c["measure"]) == ("demo/test", "nDCG@10")]
    for place, row in enumerate(rows):
        row.update(**answers(0.5, 0.001 if place else 0.4))
    page = open_page(results)
    points = page.locator("figure[data-chart=differences] svg.marks .mark-symbol.role-mark path")
    look = "all => all.map(one => getComputedStyle(one)).map(one => [one.stroke.startsWith('rgb'), one.fillOpacity])"
    assert points.evaluate_all(look) == [[True, "1" if place else "0"] for place in range(len(rows))]


FOCUS = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  return {
    tag: one.tagName, text: (one.getAttribute("aria-label") || one.innerText || one.value || "").trim().slice(0, 40),
    shown: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none",
    inside: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


def test_all_of_it_can_be_reached_and_seen_by_keyboard_alone(
    open_page: Open, make_results: Callable[..., Results], make_queries: Callable[..., Results]
) -> None:
    """Tab goes through the page in its own order, and shows where it is; the first stop leads past what repeats."""
    page = open_page(make_results(backbones=("minilm-3", "minilm-6")), make_queries(), reduced_motion="reduce")
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#explorer").scroll_into_view_if_needed()
    page.wait_for_selector("#explorer-list[data-ready]")
    page.evaluate("() => { scrollTo(0, 0); document.activeElement.blur(); }")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == {"tag": "A", "text": "Skip to the results", "shown": True, "inside": True}
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "main"
    stops, tops = [], []
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement === document.body"):
            break
        stops.append(page.evaluate(FOCUS))
        tops.append(page.evaluate("() => document.activeElement.getBoundingClientRect().top + scrollY"))
        if stops[-1]["text"] == "Main table":
            before = page.evaluate("() => document.activeElement.scrollLeft")
            page.keyboard.press("ArrowRight")
            page.wait_for_function("before => document.activeElement.scrollLeft > before", arg=before)
    assert [stop for stop in stops if not (stop["shown"] and stop["inside"])] == []
    seen = {stop["text"] for stop in stops}
    assert {"Main table", "One collection or suite", "Recipe pairs", "Cells", "Commands"} <= seen
    assert any(stop["tag"] == "SELECT" for stop in stops)
    assert any(text.startswith("+0.390 why does") for text in seen)
    assert stops[-1]["text"] == "Commands"  # the end of the page: nothing holds the focus


def test_every_chart_says_in_words_what_it_shows_and_is_light_or_dark_as_the_page_is(
    open_page: Open, make_results: Callable[..., Results]
) -> None:
    page = open_page(make_results(backbones=("minilm-3", "minilm-6")), color_scheme="light")
    charts = page.locator("figure[data-chart]")
    assert charts.count() >= 6
    for number in range(charts.count()):
        figure = charts.nth(number)
        drawing = figure.locator('[role="graphics-document"]')
        assert drawing.get_attribute("aria-label") == figure.locator("figcaption").inner_text()
        assert len(figure.locator("figcaption").inner_text()) > 20

    look = """() => [getComputedStyle(document.body).backgroundColor,
        getComputedStyle(document.querySelector('figure[data-chart=heat] svg.marks .role-axis-label text')).fill]"""
    paper, ink = page.evaluate(look)
    page.emulate_media(color_scheme="dark")
    board, chalk = page.evaluate(look)
    paper, ink, board, chalk = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (paper, ink, board, chalk))
    assert paper > 700
    assert chalk > 600
    assert ink < 150
    assert board < 150
