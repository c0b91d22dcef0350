"""One style for all figures of a paper, and their files: PDF and SVG with equal bytes for equal results."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.typing import LineStyleType

INK = "#1f2328"
GREY = "#6b737b"
# Okabe and Ito (2008), told apart under the common kinds of colour blindness; without its yellow, too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
MARKERS = ("o", "s", "D", "^", "v", "P", "p")
LINES: tuple[LineStyleType, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)))
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++")
WIDTH = 7.0  # inches: both columns of a conference page

_STYLE = {
    "svg.fonttype": "path",  # the same letters wherever it is opened
    "pdf.fonttype": 42,  # what publishers ask for; 3 is refused by some
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "hatch.linewidth": 0.6,
    "axes.formatter.use_mathtext": False,
}


@dataclass(frozen=True)
class Drawing:
    """A figure of a paper: the name of its files, what a caption says, size in inches, and how it is drawn."""

    name: str
    caption: str
    size: tuple[float, float]
    draw: Callable[[Figure], None]


@dataclass(frozen=True)
class NotDrawn:
    """A figure or table that the results have no data for."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} is left out: {self.why}"


def render(drawing: Drawing, rehearsal: bool) -> dict[str, bytes]:
    """The files of a figure, by suffix. A rehearsal's bears that word across it."""
    nothing = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": dict.fromkeys(("Creator", "Date", "Format", "Type")),
    }
    with style.context(["default", {**_STYLE, "svg.hashsalt": drawing.name}]), warnings.catch_warnings():
        # Names may hold characters that the font lacks; what is drawn instead is a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=drawing.size, layout="constrained")
        drawing.draw(figure)
        if rehearsal:
            _mark_rehearsal(figure)
        files = {}
        for suffix, metadata in nothing.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix, metadata=metadata)
            files[suffix] = buffer.getvalue()
            figure.set_layout_engine("none")  # laid out once, for both files
    return files


def _mark_rehearsal(figure: Figure) -> None:
    width, height = figure.get_size_inches()
    figure.text(
        0.5, 0.5, "REHEARSAL · no results", color="#B00020", alpha=0.28, fontsize=min(4 * width, 9 * height),
        fontweight="bold", rotation=8, ha="center", va="center", in_layout=False, zorder=10,
    )  # fmt: skip
