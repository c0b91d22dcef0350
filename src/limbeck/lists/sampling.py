"""Sample: which passages of a list a training step sees."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from limbeck.core.errors import UsageError, nearest


@dataclass(frozen=True)
class Sample:
    """How passages are drawn from a list; all fields None: the whole list.

    depth          only the list's first `depth` passages; with positives and negatives it limits the negatives only
    positives      how many positives to draw without replacement, or all if there are fewer; goes with `negatives`
    negatives      the same for negatives
    size           how many passages to draw without replacement, whatever their labels; not beside positives
    positive_from  smallest label that counts as positive: 2 for TREC-DL's grades
    random         so many negatives more from below `depth`: `negatives` are the hard ones then. Without it and with a
                   depth, all negatives are hard
    replacement    negatives, or `size` passages, are drawn with replacement: always as many as asked for, some of them
                   twice
    first          positives are the list's first ones, not drawn
    each_positive  an epoch visits a list once for each of its positives, with that one; goes with `positives=1`
    stratified     negatives, or `size` passages, from all over the range of the teacher's scores: it is cut into as
                   many equal bands as passages are asked for, and others make up for bands without a passage left
                   (after arXiv 2604.04734, which covers the range uniformly; how, is ours)

        Sample(positives=1, negatives=7)         Sample.parse("positives=1, negatives=7")
        Sample(depth=50)                         Sample.from_mapping({"depth": 50})
        POLICIES["paper-infonce"]                Sample.parse("paper-infonce")
    """

    depth: int | None = None
    positives: int | None = None
    negatives: int | None = None
    size: int | None = None
    positive_from: float = 1
    random: int | None = None
    replacement: bool = False
    first: bool = False
    each_positive: bool = False
    stratified: bool = False

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
        """A sample written as `str` prints it: `depth=200, positives=1, negatives=7`, or `all`; or a policy's name."""
        if text.strip() in POLICIES:
            return POLICIES[text.strip()]
        values: dict[str, float] = {}
        for part in [] if text.strip() in ("", "all") else text.split(","):
            key, _, value = (piece.strip() for piece in part.partition("="))
            if key in values:
                raise UsageError(f'sample: key "{key}" is given twice')
            values[key] = _number(key, value)
        return cls.from_mapping(values)

    def __str__(self) -> str:
        values = [(field.name, getattr(self, field.name), field.default) for field in fields(self)]
        changed = [f"{name}={_text(value)}" for name, value, default in values if value != default]
        return ", ".join(changed) or "all"

    @property
    def needs_labels(self) -> bool:
        """Whether drawing looks at labels."""
        return self.positives is not None

    @property
    def needed(self) -> frozenset[str]:
        """The signals that drawing looks at."""
        wanted = {"labels": self.needs_labels, "teacher_scores": self.stratified}
        return frozenset(name for name, is_needed in wanted.items() if is_needed)

    @property
    def is_random(self) -> bool:
        """Whether drawing takes random numbers; else it takes `first_positions`."""
        return self.needs_labels or self.size is not None

    @property
    def passages(self) -> int | None:
        """How many passages are drawn from a list of enough; None where the list's length decides."""
        if self.positives is not None and self.negatives is not None:
            return self.positives + self.negatives + (self.random or 0)
        return self.size

    def pools(self, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Positions of a list's positives and (hard) negatives that may be drawn; labels [passages]."""
        if labels is None:
            raise UsageError("sample: positives and negatives are drawn by label, but the lists carry no labels")
        positive = labels >= self.positive_from
        negatives = np.flatnonzero(~positive[: self.depth])
        return np.flatnonzero(positive), negatives

    def first_positions(self, length: int) -> np.ndarray:
        """Positions of the first `depth` passages in a list of `length`."""
        return np.arange(length)[: self.depth]

    def draw(
        self,
        length: int,
        labels: np.ndarray | None,
        random: np.random.Generator,
        scores: np.ndarray | None = None,
        positive: int = 0,
    ) -> np.ndarray:
        """Positions [drawn] in a list of `length` passages, ascending, so that their order tells nothing of labels.

        Args:
            scores: the teacher's [passages], for a stratified sample.
            positive: which of the list's positives, for `each_positive`.
        """
        if self.positives is not None and self.negatives is not None:
            positives, negatives = self.pools(labels)
            if self.each_positive:
                taken = positives[positive : positive + 1]
            else:
                taken = positives[: self.positives] if self.first else _draw(positives, self.positives, random)
            drawn = [taken, self._spread(negatives, self.negatives, random, scores)]
            if self.random is not None and self.depth is not None and labels is not None:
                easy = self.depth + np.flatnonzero(labels[self.depth :] < self.positive_from)
                drawn.append(_draw(easy, self.random, random, self.replacement))
            return np.sort(np.concatenate(drawn))
        positions = self.first_positions(length)
        return positions if self.size is None else np.sort(self._spread(positions, self.size, random, scores))

    def _spread(
        self, positions: np.ndarray, count: int, random: np.random.Generator, scores: np.ndarray | None
    ) -> np.ndarray:
        if not self.stratified:
            return _draw(positions, count, random, self.replacement)
        if scores is None:
            raise UsageError("sample: stratified draws by the teacher's scores, but the lists carry none")
        return _draw_stratified(positions, scores[positions], count, random)


def _draw(positions: np.ndarray, count: int, random: np.random.Generator, replacement: bool = False) -> np.ndarray:
    if replacement and len(positions):
        return random.choice(positions, count, replace=True)
    return random.choice(positions, min(count, len(positions)), replace=False, shuffle=False)


def _draw_stratified(positions: np.ndarray, scores: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """At most `count` of `positions` [n], none twice: one from each band of `scores` [n], then one more from each."""
    if count >= len(positions):
        return positions
    order = random.permutation(len(positions))
    low, width = scores.min(), np.ptp(scores) or 1.0
    bands = np.minimum(((scores[order] - low) / width * count).astype(int), count - 1)
    # The how-many-th of its band each passage is, in the drawn order: all firsts come before all seconds.
    by_band = np.argsort(bands, kind="stable")
    starts = np.searchsorted(bands[by_band], bands[by_band])
    turns = np.empty(len(order), int)
    turns[by_band] = np.arange(len(order)) - starts
    return np.sort(positions[order[np.argsort(turns, kind="stable")[:count]]])


def _text(value: float) -> str:
    return str(value).lower() if isinstance(value, int) else f"{value:g}"


def _number(key: str, value: str) -> float:
    if value in ("true", "false"):
        return value == "true"
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        policies = f" or a policy's name: {', '.join(POLICIES)}{nearest(key, POLICIES)}"
        raise UsageError(
            f'sample: {key} is "{value}", expected key=number, as in positives=1, negatives=7,{policies}'
        ) from None


def _bad_values(sample: Sample) -> list[str]:
    problems = []
    for name in ("replacement", "first", "each_positive", "stratified"):
        if not isinstance(getattr(sample, name), bool):
            problems.append(f"{name} is {getattr(sample, name)!r}, expected true or false")
    for name in ("depth", "positives", "negatives", "size", "random"):
        value = getattr(sample, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            problems.append(f"{name} is {value!r}, expected a whole number ≥ 1, or leave it out")
    value = sample.positive_from
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        problems.append(f"positive_from is {value!r}, expected a label above 0")
    return problems


def _bad_combinations(sample: Sample) -> list[str]:
    given = {name for name in ("positives", "negatives", "size") if getattr(sample, name) is not None}
    if sample.random is not None and ("negatives" not in given or sample.depth is None):
        return ["random is given without negatives and depth, expected both: it draws from below the depth"]
    if sample.first and "positives" not in given:
        return ["first is given without positives, expected how many"]
    if sample.each_positive and (sample.positives != 1 or sample.first):
        return ["each_positive visits a list once for each positive, expected positives=1 beside it, and no first"]
    if sample.stratified and (not given or sample.replacement):
        return [
            "stratified is given without negatives or size, or with replacement, expected how many to draw, once each"
        ]
    if sample.replacement and not given:
        return ["replacement is given without negatives or size, expected how many to draw"]
    if given >= {"positives"} and "negatives" not in given:
        return ["positives is given without negatives, expected both: add negatives"]
    if given >= {"negatives"} and "positives" not in given:
        return ["negatives is given without positives, expected both: add positives"]
    if "size" in given and "positives" in given:
        return ["size is given beside positives and negatives, expected one or the other"]
    return []


POLICIES = {
    # Morand et al. 2026 (arXiv 2603.03010): a triple is a list of two, and all of it is seen.
    "paper-triples": Sample(),
    # Its first runs: a list for each positive that the run has, and 7 of what is not relevant, no passage twice.
    "paper-infonce-v1": Sample(positives=1, negatives=7, each_positive=True),
    # Its later runs: the first positive in the run's order, and 7 of what is not relevant, drawn with replacement. In
    # both, queries whose positive was not retrieved are left out where the list source has `add_positives: false`.
    "paper-infonce": Sample(positives=1, negatives=7, replacement=True, first=True),
    # The 50 passages that the LLM ordered.
    "paper-llm": Sample(depth=50),
    # Schlatt et al. 2025 (Rank-DistiLLM): 1 positive and 7 random non-relevant of ColBERTv2's first 200.
    "rank-distillm-infonce": Sample(depth=200, positives=1, negatives=7),
    # The 100 passages that the LLM ordered.
    "rank-distillm-llm": Sample(depth=100),
}
"""Published ways of drawing, by name."""
