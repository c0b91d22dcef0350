"""Drawing with matplotlib into SVG that can stand inside a page: equal input gives equal bytes."""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Literal

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1f2328"
# Okabe and Ito (2008), told apart under the common kinds of colour blindness; without its yellow, too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
# A second sign beside the colour.
DASHES = ("", "5 2", "1 1.5", "6 2 1 2", "3 1.5", "8 2", "2 1 1 1")
# matplotlib's markers, and their outlines in a legend of 34 × 12.
_OUTLINES = {
    "o": "M13 6a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "s": "M13.5 2.5h7v7h-7z",
    "D": "M17 1.2l4.8 4.8l-4.8 4.8l-4.8 -4.8z",
    "^": "M17 1.8l4.5 8.2h-9z",
    "v": "M17 10.2l4.5 -8.2h-9z",
    "P": "M15.5 2h3v2.5h2.5v3h-2.5v2.5h-3v-2.5h-2.5v-3h2.5z",
    "p": "M17 1.5l4.7 3.4l-1.8 5.4h-5.8l-1.8 -5.4z",
}
MARKERS = tuple(_OUTLINES)

_STYLE = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8b929a",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8eaed",
    "grid.linewidth": 0.7,
    "xtick.color": "#8b929a",
    "ytick.color": "#8b929a",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
}


@dataclass(frozen=True)
class Panel:
    """One drawing: inline SVG, and in words what it shows."""

    title: str
    svg: str
    description: str


@dataclass(frozen=True)
class Key:
    """An entry of a legend: how a name is drawn."""

    label: str
    colour: str
    dash: str
    marker: str

    @property
    def linestyle(self) -> str | tuple[int, tuple[float, ...]]:
        """The dash as matplotlib takes it."""
        return (0, tuple(float(part) for part in self.dash.split())) if self.dash else "-"


NEUTRAL = Key("", "#6b737b", "", "o")
"""For what a sign means in any colour."""


def swatch(key: Key, kind: Literal["line", "filled", "hollow"]) -> str:
    """A key's sign for a legend, as SVG: its line, or its marker on an interval, filled or hollow."""
    if kind == "line":
        dash = " ".join(f"{float(part) * 2:g}" for part in key.dash.split())
        drawn = f'<path d="M1 6H33" fill="none" stroke="{key.colour}" stroke-width="2.4" stroke-dasharray="{dash}"/>'
    else:
        face = key.colour if kind == "filled" else "#ffffff"
        drawn = (
            f'<path d="M4 6H30" stroke="{key.colour}" stroke-width="1.8"/>'
            f'<path d="{_OUTLINES[key.marker]}" fill="{face}" stroke="{key.colour}" stroke-width="1.6"/>'
        )
    return f'<svg viewBox="0 0 34 12" aria-hidden="true">{drawn}</svg>'


def keys(labels: list[str]) -> dict[str, Key]:
    """A colour, a dash and a marker per label; beyond seven the colours return with other dashes and markers."""
    found = {}
    for place, label in enumerate(labels):
        turn, colour = divmod(place, len(COLOURS))
        sign = (colour + turn) % len(DASHES)
        found[label] = Key(label, COLOURS[colour], DASHES[sign], MARKERS[sign])
    return found


def draw_panel(
    name: str, title: str, description: str, size: tuple[float, float], draw: Callable[[Axes], None]
) -> Panel:
    """Draw into one pair of axes of `size` (width, height in inches). `name` keeps ids apart within a page."""
    with style.context(["default", {**_STYLE, "svg.hashsalt": name}]), warnings.catch_warnings():
        # Names may hold characters that the measuring font lacks; the browser has others.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        axes.set_title(shorten(title, 46), parse_math=False)
        draw(axes)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return Panel(title, inline(buffer.getvalue(), name, description), description)


def inline(svg: str, name: str, description: str) -> str:
    """The `<svg>` element alone, scalable, labelled, with ids and styles that cannot meet others on the page."""
    box = re.search(r'viewBox="([^"]*)"', svg)
    assert box is not None
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', body)
    body = re.sub(r"\n\s*", "\n", body).strip()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box[1]}" role="img" '
        f'aria-label="{escape(description)}" style="stroke-linejoin:round;stroke-linecap:butt">\n{body}'
    )


def shorten(text: str, length: int) -> str:
    """
    >>> shorten("abcdef", 4), shorten("abc", 4)
    ('abc…', 'abc')
    """
    return text if len(text) <= length else f"{text[: length - 1]}…"
