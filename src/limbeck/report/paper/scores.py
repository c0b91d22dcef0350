"""What the figures and tables of a paper are drawn from: means over seeds, per backbone, recipe and column."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scipy.stats import t as student

from limbeck.collections.suites import suites
from limbeck.report.paper.labels import label
from limbeck.report.paper.sizes import size
from limbeck.report.table import Results, finite, value_of

# In reading order; one whose members an earlier one holds already says nothing new.
_SUITES = ("in-domain", "trec-dl", "beir13", "ood", "lotte-search", "robust04", "nanobeir")
LEVEL = 0.95


@dataclass(frozen=True)
class Column:
    """A test collection, or a suite of them that was measured completely; `key` is its name in the results."""

    key: str
    members: tuple[str, ...]

    @property
    def label(self) -> str:
        return label(self.key)

    @property
    def averaged(self) -> bool:
        return self.members != (self.key,)


@dataclass(frozen=True)
class Score:
    """The values of a configuration's finished seeds; `planned` counts those without a value too."""

    values: tuple[float, ...]
    planned: int

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds, None with fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def half(self) -> float | None:
        """Half the width of Student's 95 % interval of the mean over seeds; None with fewer than two."""
        if self.std is None:
            return None
        count = len(self.values)
        return float(student.ppf((1 + LEVEL) / 2, count - 1)) * self.std / math.sqrt(count)

    @property
    def complete(self) -> bool:
        return len(self.values) == self.planned > 0


@dataclass(frozen=True)
class Scores:
    """A study's results, as the paper's tables and figures look at them. Backbones are ordered by size."""

    results: Results

    @property
    def rehearsal(self) -> bool:
        """Whether all of it was rehearsed with random stand-ins, so that no number is a result."""
        return bool(self.results.get("rehearsal"))

    @property
    def measure(self) -> str:
        """The primary measure."""
        return str(self.results["measures"][0])

    @cached_property
    def sizes(self) -> dict[str, int | None]:
        """Backbone → parameters, smallest first, unknown ones last."""
        found = {each["name"]: size(each, self.rehearsal) for each in self.results["backbones"]}
        return dict(sorted(found.items(), key=lambda item: math.inf if item[1] is None else item[1]))

    @property
    def backbones(self) -> list[str]:
        return list(self.sizes)

    @property
    def recipes(self) -> list[str]:
        return [recipe["name"] for recipe in self.results["recipes"]]

    @property
    def seeds(self) -> int:
        return len({cell["seed"] for cell in self.results["cells"]})

    @cached_property
    def collections(self) -> list[Column]:
        return [Column(each["name"], (each["name"],)) for each in self.results["collections"]]

    def suite(self, name: str) -> Column | None:
        """A suite's average, None where a member was not a test collection of the study."""
        members, there = suites()[name], {column.key for column in self.collections}
        return Column(name, members) if there.issuperset(members) else None

    @cached_property
    def aggregates(self) -> list[Column]:
        """As few columns as cover every collection: averages over complete suites, then what is in none."""
        return self._covering(_SUITES)

    @cached_property
    def headings(self) -> list[Column]:
        """The columns of the main table: TREC-DL and MS MARCO singly, the many collections of BEIR and LoTTE as one."""
        averaged = self._covering(("beir13", "lotte-search", "nanobeir"))
        single = [column for column in averaged if not column.averaged]
        first = [column for column in single if column.key.startswith("msmarco")]
        suites_ = [column for column in averaged if column.averaged]
        return [*first, *suites_, *(column for column in single if column not in first)]

    def _covering(self, names: Sequence[str]) -> list[Column]:
        chosen: list[Column] = []
        covered: set[str] = set()
        for name in names:
            column = self.suite(name)
            if column is not None and not covered.issuperset(column.members):
                chosen.append(column)
                covered.update(column.members)
        return [*chosen, *(column for column in self.collections if column.key not in covered)]

    @cached_property
    def _cells(self) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
        found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for cell in self.results["cells"]:
            found.setdefault((cell["backbone"], cell["recipe"]), []).append(cell)
        return found

    def cells(self, backbone: str, recipe: str) -> list[Mapping[str, Any]]:
        return self._cells.get((backbone, recipe), [])

    def score(self, backbone: str, recipe: str, column: Column, measure: str | None = None) -> Score:
        """Means over a suite are taken per seed first, so that their scatter is that of the average."""
        measure = measure or self.measure
        cells = self.cells(backbone, recipe)
        found = [_value(cell, column, measure) for cell in cells]
        return Score(tuple(value for value in found if value is not None), len(cells))

    def first_stage(self, column: Column, measure: str | None = None) -> float | None:
        given = self.results.get("first_stage") or {}
        return _given(given, column, measure or self.measure)


def _value(cell: Mapping[str, Any], column: Column, measure: str) -> float | None:
    if not column.averaged:
        return value_of(cell, column.key, measure)
    return _given(cell, column, measure) if cell["state"] == "done" else None


def _given(measured: Mapping[str, Any], column: Column, measure: str) -> float | None:
    kind = "suites" if column.averaged else "values"
    return finite(((measured.get(kind) or {}).get(column.key) or {}).get(measure))
