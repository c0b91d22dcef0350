"""The text form of objectives: `RankNet + 0.1*InfoNCE(temperature=0.5)`, read and printed.

    sum  = term { "+" term }
    term = [ weight "*" ] name [ "(" parameter "=" value { "," parameter "=" value } ")" ]

Names and parameters are read in any case. An objective is known as soon as its module lists its class in `__all__`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache

from torch import Tensor

from limbeck.core.errors import UsageError, nearest
from limbeck.objectives import listwise, ndcg, pairwise, pointwise
from limbeck.objectives.objective import Objective, Single, Targets

_PLUS = re.compile(r"\+(?![^(]*\))(?!(?<=[\d.][eE]\+)\d)")
_TERM = re.compile(r"\s*(?:(?P<weight>[^*()]*)\*)?\s*(?P<name>[A-Za-z][\w-]*)\s*(?:\((?P<parameters>[^()]*)\))?\s*")


@dataclass(frozen=True)
class Sum(Objective):
    """Weighted sum of objectives, whose parts may read different signals: each is a mean over its own usable lists."""

    parts: tuple[tuple[float, Single], ...]

    @property
    def signals(self) -> frozenset[str]:
        return frozenset().union(*(part.signals for _, part in self.parts))

    def __call__(self, scores: Tensor, targets: Targets, mask: Tensor) -> Tensor:
        if not isinstance(targets, Mapping) and len(self.signals) > 1:
            raise UsageError(f"{self} reads {', '.join(sorted(self.signals))}: give a mapping from signal to targets")
        losses = [weight * part(scores, targets, mask) for weight, part in self.parts]
        return sum(losses[1:], losses[0])

    def __str__(self) -> str:
        return " + ".join(str(part) if weight == 1 else f"{weight}*{part}" for weight, part in self.parts)


def parse(text: str) -> Objective:
    """The objective that a text names. UsageError says what is wrong and the nearest name there is.

    >>> print(parse("ranknet + 0.1*infonce(Temperature=.5)"))
    RankNet + 0.1*InfoNCE(temperature=0.5)
    """
    parts = tuple(_term(term, text) for term in _PLUS.split(text))
    weight, first = parts[0]
    return first if len(parts) == 1 and weight == 1 else Sum(parts)


@cache
def classes() -> Mapping[str, type[Single]]:
    """Every objective's class by its printed name, sorted, from the modules that hold them."""
    found = [getattr(module, name) for module in (listwise, ndcg, pairwise, pointwise) for name in module.__all__]
    return {cls.name: cls for cls in sorted(found, key=lambda cls: cls.name.lower())}


def names() -> tuple[str, ...]:
    """The objectives' names as printed, sorted."""
    return tuple(classes())


def _term(term: str, text: str) -> tuple[float, Single]:
    match = _TERM.fullmatch(term)
    if match is None:
        raise UsageError(
            f'objective "{text}": cannot read "{term.strip()}"; expected NAME, NAME(parameter=value) or WEIGHT*NAME, '
            "joined by +"
        )
    weight = 1.0 if match["weight"] is None else _number(match["weight"])
    if weight is None or not (math.isfinite(weight) and weight > 0):
        raise UsageError(f'objective "{text}": weight is "{match["weight"].strip()}"; expected a number above 0')
    by_lower = {name.lower(): cls for name, cls in classes().items()}
    cls = by_lower.get(match["name"].lower())
    if cls is None:
        hint = nearest(match["name"], names())
        raise UsageError(f'unknown objective "{match["name"]}"{hint} (there are {", ".join(names())})')
    return weight, cls(**_parameters(cls, match["parameters"] or "", text))


def _parameters(cls: type[Single], given: str, text: str) -> dict[str, float | str]:
    known = {f.name: f for f in fields(cls)}
    values: dict[str, float | str] = {}
    for item in given.split(",") if given.strip() else ():
        key, equals, value = (part.strip() for part in item.partition("="))
        if not (equals and key and value):
            example = f"{next(iter(known))}=VALUE" if known else "none: it has no parameters"
            raise UsageError(f'objective "{text}": cannot read "{item.strip()}" in {cls.name}; expected {example}')
        key = key.lower()
        if key not in known:
            have = f"it has {', '.join(known)}" if known else "it has none"
            raise UsageError(f'{cls.name} has no parameter "{key}"{nearest(key, known)} ({have})')
        if key in values:
            raise UsageError(f'objective "{text}": {key} is given twice in {cls.name}')
        if isinstance(known[key].default, float):
            number = _number(value)
            if number is None:
                raise UsageError(f'{cls.name}: {key} is "{value}"; expected a number')
            values[key] = number
        else:
            values[key] = value.strip("'\"").lower()
    return values


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
