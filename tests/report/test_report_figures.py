import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from limbeck.report import build_table
from limbeck.report.curves import curve, mean_curve, smooth, stage_boundaries
from limbeck.report.figures import difference_panels, loss_panels, validation_panels
from limbeck.report.svg import Panel, keys

Results = dict[str, Any]


def panels(results: Results) -> list[Panel]:
    return [
        *loss_panels(results),
        *validation_panels(results),
        *difference_panels(results, build_table(results)),
    ]


def test_equal_results_give_equal_drawings_without_a_date(results: Results) -> None:
    first = panels(results)
    with mpl.rc_context({"font.size": 20, "lines.linewidth": 9}):
        assert panels(results) == first
    assert not any(re.search(r"date>|<metadata|<!--|<style", panel.svg) for panel in first)


def test_a_drawing_is_well_formed_labelled_and_holds_its_text_as_text(results: Results) -> None:
    found = panels(results)
    assert len(found) == 3 + 1 + 2
    for panel in found:
        root = ElementTree.fromstring(panel.svg)
        assert root.get("role") == "img"
        assert root.get("aria-label") == panel.description
        texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert panel.title in texts


def test_drawing_changes_no_setting_of_matplotlib(results: Results) -> None:
    before = dict(mpl.rcParams)
    panels(results)
    assert dict(mpl.rcParams) == before


@pytest.mark.filterwarnings("error")
def test_any_name_can_be_drawn(results: Results) -> None:
    name = "$\\frac{1}$ <日本語> " + "x" * 80
    results["recipes"][0]["name"] = name
    for each in (*results["cells"], *results["comparisons"]):
        each["recipe"] = name if each["recipe"] == "BCE" else each["recipe"]
    assert all(ElementTree.fromstring(panel.svg) is not None for panel in panels(results))


def test_a_significant_difference_is_a_filled_dot_and_any_other_hollow(results: Results) -> None:
    for p, hollow in ((0.001, 0), (0.5, 3)):
        for comparison in results["comparisons"]:
            comparison["corrected_p"] = p
        panel = difference_panels(results, build_table(results))[0]
        assert len(re.findall(r"<use [^>]*fill: #ffffff", panel.svg)) == hollow


def test_smoothing_keeps_a_constant_and_begins_anew_with_each_stage() -> None:
    steps = np.arange(1.0, 101.0)
    values = np.where(steps <= 60, 5.0, 1.0)
    np.testing.assert_allclose(smooth((steps, values), [60.0])[1], values)
    assert smooth((steps, values))[1][61] > 1.5


def test_a_curve_drops_gaps_and_a_mean_keeps_to_the_steps_that_all_seeds_reach() -> None:
    assert curve([[1, None], [2, float("nan")]]) is None
    one, other = curve([[0, 0.0], [10, 1.0], [20, 2.0]]), curve([[0, 2.0], [10, 3.0]])
    assert one is not None
    assert other is not None
    steps, values = mean_curve([one, other])
    assert (steps.tolist(), values.tolist()) == ([0.0, 10.0], [1.0, 2.0])


def test_a_run_that_broke_off_does_not_cut_the_mean_of_the_others_short(
    make_results: Callable[..., Results],
) -> None:
    results = make_results(recipes=("BCE",), seeds=3, collections=("scifact",))
    results["cells"][2].update(state="failed", curve=results["cells"][2]["curve"][:3])
    bold = re.findall(r'<path d="([^"]*)"[^>]*stroke-width: 1.9', loss_panels(results)[0].svg)
    assert len(bold) == 1
    assert len(re.findall(r"[ML]", bold[0])) > 10


def test_boundaries_lie_after_each_stage_but_the_last() -> None:
    assert stage_boundaries({"stages": [{"steps": 200}, {"steps": 100}, {"steps": 50}]}) == [200.0, 300.0]
    assert stage_boundaries({"stages": [{"steps": None}, {"steps": 100}]}) == []


def test_no_two_of_many_names_are_drawn_alike() -> None:
    many = keys([str(number) for number in range(40)])
    assert len({(key.colour, key.dash) for key in many.values()}) == 40
