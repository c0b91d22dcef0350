"""Leaks as a report shows them: rows of counts, and the sentences that stand atop."""

from dataclasses import dataclass

from limbeck.lists import LeakCounts, LeakExample
from limbeck.report.formats import plural
from limbeck.study.analysis.results import StudyResults

LEAK_NOTE = (
    "Queries of training lists and validation are searched for the test's judged queries, positives of the lists and "
    "relevant documents of the validation for the documents judged relevant in the test. The same: but for case, "
    "punctuation and blanks. Nearly: 60 % or more of the character 3-grams of both are shared."
)


@dataclass(frozen=True)
class LeakRow:
    """What one search found."""

    where: str
    test: str
    queries: LeakCounts
    documents: LeakCounts

    @property
    def parts(self) -> list[tuple[str, LeakCounts]]:
        """What was searched for, with what was found."""
        return [("queries", self.queries), ("relevant documents", self.documents)]


def leak_rows(results: StudyResults) -> list[LeakRow]:
    """One row for each search, those of training lists first."""
    return [
        LeakRow(f"{found.kind} {found.name}", found.test, found.queries, found.documents) for found in results.leaks
    ]


def leak_cautions(results: StudyResults) -> list[str]:
    """A sentence where test queries stand word for word in training lists or validation."""
    most: dict[str, LeakRow] = {}
    for row in leak_rows(results):
        if row.queries.exact > (most[row.test].queries.exact if row.test in most else 0):
            most[row.test] = row
    if not most:
        return []
    found = [
        f"{row.queries.exact:,} of {plural(row.queries.against, 'test query')} of {name} in {row.where}"
        for name, row in most.items()
    ]
    return [f"Warning: test queries were seen before, word for word: {'; '.join(found)}."]


def leak_text(found: LeakCounts) -> str:
    """Counts of one search: `2 the same, 119 nearly, of 300 (40.3 %)`."""
    share = f"{100 * found.share:.1f} %"
    return f"{found.exact:,} the same, {found.near:,} nearly, of {found.against:,} ({share})"


def example_text(example: LeakExample) -> str:
    """A leak in one line: the text of the lists, and that of the test."""
    alike = "the same" if example.same else f"{example.likeness:.2f} alike"
    return f"{example.id}: {_cut(example.text)} — test {example.of}: {_cut(example.of_text)} ({alike})"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:159]}…"
