"""How large a backbone is, and of which family."""

import re
from collections.abc import Mapping
from typing import Any

from limbeck.study.backbones import known_backbones

_UNITS = {"M": 10**6, "B": 10**9}


def size(backbone: Mapping[str, Any], rehearsal: bool) -> int | None:
    """Parameters as counted when it was trained, else as its publisher states them; None where neither is known.

    A rehearsal trains small stand-ins: there the size is that of the backbone stood in for.
    """
    known = known_backbones().get(backbone["name"]) if rehearsal else None
    if known is None and not backbone.get("parameters"):
        known = next((each for each in known_backbones().values() if each.model == hub_id(backbone, rehearsal)), None)
    return parse_size(known.parameters) if known else backbone.get("parameters")


def hub_id(backbone: Mapping[str, Any], rehearsal: bool) -> str:
    """The published model behind a backbone of the results, without a pinned revision; in a rehearsal the one that was
    stood in for."""
    known = known_backbones().get(backbone["name"]) if rehearsal else None
    return known.model if known else str(backbone["model"]).partition("@")[0]


def family(model: str) -> str:
    """A model's id without what tells its size, alike for all sizes of one release.

    >>> family("jhu-clsp/ettin-encoder-17m"), family("answerdotai/ModernBERT-large")
    ('jhu-clsp/ettin-encoder', 'answerdotai/ModernBERT')
    """
    return re.sub(r"(?i)[-_](\d+(\.\d+)?[mb]|x*small|base|large|x*large)(?=$|[-_])", "", model)


def parse_size(text: str) -> int:
    """
    >>> parse_size("17M"), parse_size("1B")
    (17000000, 1000000000)
    """
    return round(float(text[:-1]) * _UNITS[text[-1]])


def size_text(parameters: float) -> str:
    """
    >>> size_text(16_789_000), size_text(1_028_000_000), size_text(4_416_698), size_text(20_000)
    ('17M', '1B', '4.4M', '20k')
    """
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if parameters >= unit:
            return (
                f"{float(f'{parameters / unit:.2g}' if parameters < 100 * unit else round(parameters / unit)):g}{name}"
            )
    return f"{parameters:g}"
