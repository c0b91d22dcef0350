"""Sample: which passages of a list a training step sees."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from limbeck.errors import UsageError, nearest


@dataclass(frozen=True)
class Sample:
    """How passages are drawn from a list; all fields None: the whole list.

    depth          only the list's first `depth` passages; with positives and negatives it limits the negatives only
    positives      how many positives to draw without replacement, or all if there are fewer; goes with `negatives`
    negatives      the same for negatives
    size           how many passages to draw without replacement, whatever their labels; not beside positives
    positive_from  smallest label that counts as positive: 2 for TREC-DL's grades

        Sample(positives=1, negatives=7)         Sample.parse("positives=1, negatives=7")
        Sample(depth=50)                         Sample.from_mapping({"depth": 50})
    """

    depth: int | None = None
    positives: int | None = None
    negatives: int | None = None
    size: int | None = None
    positive_from: float = 1

    def __post_init__(self) -> None:
        problems = [*_bad_values(self), *_bad_combinations(self)]
        if problems:
            raise UsageError("\n".join(f"sample: {problem}" for problem in problems))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Sample":
        """A sample of a configuration's keys. UsageError names every wrong key at once."""
        known = [field.name for field in fields(cls)]
        unknown = [key for key in mapping if key not in known]
        problems = [
            f'sample: unknown key "{key}", expected {", ".join(known)}{nearest(str(key), known)}' for key in unknown
        ]
        try:
            sample = cls(**{key: value for key, value in mapping.items() if key in known})
        except UsageError as error:
            problems.append(str(error))
        if problems:
            raise UsageError("\n".join(problems))
        return sample

    @classmethod
    def parse(cls, text: str) -> "Sample":
        """A sample written as `str` prints it: `depth=200, positives=1, negatives=7`, or `all`."""
        values: dict[str, float] = {}
        for part in [] if text.strip() in ("", "all") else text.split(","):
            key, _, value = (piece.strip() for piece in part.partition("="))
            if key in values:
                raise UsageError(f'sample: key "{key}" is given twice')
            values[key] = _number(key, value)
        return cls.from_mapping(values)

    def __str__(self) -> str:
        values = [(field.name, getattr(self, field.name), field.default) for field in fields(self)]
        changed = [f"{name}={value:g}" for name, value, default in values if value != default]
        return ", ".join(changed) or "all"

    @property
    def needs_labels(self) -> bool:
        """Whether drawing looks at labels."""
        return self.positives is not None

    def pools(self, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Positions of a list's positives and negatives that may be drawn; labels [passages]."""
        if labels is None:
            raise UsageError("sample: positives and negatives are drawn by label, but the lists carry no labels")
        positive = labels >= self.positive_from
        negatives = np.flatnonzero(~positive[: self.depth])
        return np.flatnonzero(positive), negatives

    def draw(self, length: int, labels: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
        """Positions [drawn] in a list of `length` passages, ascending, so that their order tells nothing of labels."""
        if self.positives is not None and self.negatives is not None:
            positives, negatives = self.pools(labels)
            drawn = [_draw(positives, self.positives, random), _draw(negatives, self.negatives, random)]
            return np.sort(np.concatenate(drawn))
        positions = np.arange(length)[: self.depth]
        return positions if self.size is None else np.sort(_draw(positions, self.size, random))


def _draw(positions: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    return random.choice(positions, min(count, len(positions)), replace=False, shuffle=False)


def _number(key: str, value: str) -> float:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        raise UsageError(f'sample: {key} is "{value}", expected key=number, as in positives=1, negatives=7') from None


def _bad_values(sample: Sample) -> list[str]:
    problems = []
    for name in ("depth", "positives", "negatives", "size"):
        value = getattr(sample, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            problems.append(f"{name} is {value!r}, expected a whole number ≥ 1, or leave it out")
    value = sample.positive_from
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        problems.append(f"positive_from is {value!r}, expected a label above 0")
    return problems


def _bad_combinations(sample: Sample) -> list[str]:
    given = {name for name in ("positives", "negatives", "size") if getattr(sample, name) is not None}
    if given >= {"positives"} and "negatives" not in given:
        return ["positives is given without negatives, expected both: add negatives"]
    if given >= {"negatives"} and "positives" not in given:
        return ["negatives is given without positives, expected both: add positives"]
    if "size" in given and "positives" in given:
        return ["size is given beside positives and negatives, expected one or the other"]
    return []
