"""What the figures and tables of a paper are drawn from: means over seeds, per backbone, recipe and column."""

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from scipy.stats import t as student

from limbeck.collections.collection import suites
from limbeck.report.table import measured, value_of
from limbeck.study.analysis.results import Backbone, Cell, StudyResults
from limbeck.study.config.schema import known_backbones

LABELS = {
    "msmarco-passage/dev/small": "MS MARCO dev",
    "msmarco-passage/trec-dl-2019/judged": "DL 19",
    "msmarco-passage/trec-dl-2020/judged": "DL 20",
    "beir/arguana": "ArguAna",
    "beir/climate-fever": "C-FEVER",
    "beir/dbpedia-entity/test": "DBPedia",
    "beir/fever/test": "FEVER",
    "beir/fiqa/test": "FiQA",
    "beir/hotpotqa/test": "HotpotQA",
    "beir/nfcorpus/test": "NFCorpus",
    "beir/nq": "NQ",
    "beir/quora/test": "Quora",
    "beir/scidocs": "SCIDOCS",
    "beir/scifact/test": "SciFact",
    "beir/webis-touche2020/v2": "Touché v2",
    "beir/trec-covid": "TREC-COVID",
    "lotte/writing/test/search": "Writing",
    "lotte/recreation/test/search": "Recreation",
    "lotte/science/test/search": "Science",
    "lotte/technology/test/search": "Technology",
    "lotte/lifestyle/test/search": "Lifestyle",
    "disks45/nocr/trec-robust-2004": "Robust04",
    "in-domain": "In domain",
    "trec-dl": "TREC-DL",
    "beir13": "BEIR-13",
    "lotte-search": "LoTTE search",
    "robust04": "Robust04",
    "ood": "LoTTE + Robust04",
    "minified": "small suite",
    "nanobeir": "NanoBEIR",
}
"""Collection (ir_datasets id) or suite → what a paper calls it; a name that is not here stays as it is."""


def label(name: str) -> str:
    """
    >>> label("beir/nq"), label("ours")
    ('NQ', 'ours')
    """
    return LABELS.get(name, name)


_UNITS = {"M": 10**6, "B": 10**9}


def size(backbone: Backbone, rehearsal: bool) -> int | None:
    """Parameters as counted when it was trained, else as its publisher states them; None where neither is known.

    A rehearsal trains small stand-ins: there the size is that of the backbone stood in for.
    """
    known = known_backbones().get(backbone.name) if rehearsal else None
    if known is None and not backbone.parameters:
        known = next((each for each in known_backbones().values() if each.model == hub_id(backbone, rehearsal)), None)
    return parse_size(known.parameters) if known else backbone.parameters


def hub_id(backbone: Backbone, rehearsal: bool) -> str:
    """The published model behind a backbone of the results, without a pinned revision; in a rehearsal the one that was
    stood in for."""
    known = known_backbones().get(backbone.name) if rehearsal else None
    return known.model if known else backbone.model.partition("@")[0]


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


# In reading order; one whose members an earlier one holds already says nothing new.
_SUITES = ("in-domain", "trec-dl", "beir13", "ood", "lotte-search", "robust04", "nanobeir")
LEVEL = 0.95


@cache
def _quantile(freedom: int) -> float:
    """Student's two-sided quantile of `LEVEL`, once for all bars."""
    return float(student.ppf((1 + LEVEL) / 2, freedom))


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
        return _quantile(count - 1) * self.std / math.sqrt(count)

    @property
    def complete(self) -> bool:
        return len(self.values) == self.planned > 0


@dataclass(frozen=True)
class Scores:
    """A study's results, as the paper's tables and figures look at them. Backbones are ordered by size."""

    results: StudyResults

    @property
    def rehearsal(self) -> bool:
        """Whether all of it was rehearsed with random stand-ins, so that no number is a result."""
        return self.results.rehearsal

    @property
    def measure(self) -> str:
        """The primary measure."""
        return self.results.measures[0]

    @cached_property
    def sizes(self) -> dict[str, int | None]:
        """Backbone → parameters, smallest first, unknown ones last."""
        found = {each.name: size(each, self.rehearsal) for each in self.results.backbones}
        return dict(sorted(found.items(), key=lambda item: math.inf if item[1] is None else item[1]))

    @property
    def backbones(self) -> list[str]:
        return list(self.sizes)

    @property
    def recipes(self) -> list[str]:
        return [recipe.name for recipe in self.results.recipes]

    @property
    def seeds(self) -> int:
        return len({cell.seed for cell in self.results.cells})

    @cached_property
    def collections(self) -> list[Column]:
        return [Column(each.name, (each.name,)) for each in self.results.collections]

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
    def _cells(self) -> dict[tuple[str, str], list[Cell]]:
        found: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.results.cells:
            found.setdefault((cell.backbone, cell.recipe), []).append(cell)
        return found

    def cells(self, backbone: str, recipe: str) -> list[Cell]:
        return self._cells.get((backbone, recipe), [])

    def score(self, backbone: str, recipe: str, column: Column, measure: str | None = None) -> Score:
        """Means over a suite are taken per seed first, so that their scatter is that of the average."""
        measure = measure or self.measure
        cells = self.cells(backbone, recipe)
        found = [value_of(cell, column.key, measure) for cell in cells]
        return Score(tuple(value for value in found if value is not None), len(cells))

    def first_stage(self, column: Column, measure: str | None = None) -> float | None:
        return measured(self.results.first_stage, column.key, measure or self.measure)


def remark(scores: Scores) -> str:
    """What a caption begins with where no number is a result."""
    return r"\textbf{Rehearsal with random stand-ins: no number here is a result.} " if scores.rehearsal else ""
