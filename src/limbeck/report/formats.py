"""How a number reads in every report: the same digits in the terminal, Markdown, LaTeX and HTML."""

import math
from datetime import datetime

from limbeck.core.errors import printable
from limbeck.evaluation import LEVEL

ABSENT = "—"
MINUS = "−"


def one_line(text: object) -> str:
    r"""Text in a line of its own: blanks and line breaks are one blank, control characters show as escapes.

    >>> one_line("a\n b\x1b[31m")
    'a b\\x1b[31m'
    """
    return printable(" ".join(str(text).split()))


def number(value: float | None, digits: int = 3) -> str:
    """A measure's value, or a dash where there is none.

    >>> number(0.71249), number(None), number(-0.5)
    ('0.712', '—', '−0.500')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """A difference, with its sign; a zero after rounding has none.

    >>> signed(0.0312), signed(-0.0312), signed(-0.0001)
    ('+0.031', '−0.031', '0.000')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", MINUS) if rounded else f"{0:.{digits}f}"


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """A confidence interval of a difference.

    >>> interval(-0.01, 0.02)
    '−0.010 to +0.020'
    """
    return ABSENT if low is None or high is None else f"{signed(low, digits)} to {signed(high, digits)}"


def p_value(value: float | None) -> str:
    """A p-value with enough digits to see on which side of `LEVEL` it lies.

    >>> p_value(0.00002), p_value(0.0312), p_value(0.0499), p_value(1.0)
    ('<0.001', '0.031', '0.0499', '1.000')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    if value < 0.001:
        return "<0.001"
    for digits in (3, 4, 5):
        text = f"{value:.{digits}f}"
        if (float(text) < LEVEL) == (value < LEVEL):
            return text
    return repr(value)


def p_is(value: float | None) -> str:
    """A p-value after the letter p.

    >>> p_is(0.00002), p_is(0.0312)
    ('p < 0.001', 'p = 0.031')
    """
    text = p_value(value)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def duration(seconds: float | None) -> str:
    """A length of time.

    >>> duration(42.3), duration(3725), duration(90000)
    ('42 s', '1 h 2 min', '25 h 0 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def moment(text: str) -> str:
    """An ISO 8601 time as a reader writes it; any other text as it is.

    >>> moment("2026-03-14T09:26:53+00:00"), moment("yesterday")
    ('2026-03-14 09:26 UTC', 'yesterday')
    """
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return text


def count(value: float | None) -> str:
    """A whole number with thousands apart, or in millions.

    >>> count(5183), count(22713216), count(None)
    ('5,183', '22.7 M', '—')
    """
    if value is None:
        return ABSENT
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value:,.0f}"
