"""Teacher scores of triples by Hofstätter et al. (2020), arXiv 2010.02666, zenodo.org/record/4068216."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from limbeck.collections import Collection
from limbeck.collections.lines import Position
from limbeck.core.files import atomic_write
from limbeck.lists.formats.format import (
    ExampleQuery,
    Format,
    Lost,
    RawList,
    by_label,
    columns,
    dropped,
    number,
    require,
    write_lines,
)
from limbeck.lists.lists import Lists

COLUMNS = ("pos_score", "neg_score", "query_id", "pos_passage_id", "neg_passage_id")


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list of two passages a line: labels 1 and 0, and the teacher's two scores."""
    for place, (positive_score, negative_score, query_id, positive, negative) in columns(path, start, COLUMNS):
        scores = [number(positive_score, "pos_score", path, place), number(negative_score, "neg_score", path, place)]
        yield RawList(place, query_id, [positive, negative], [1.0, 0.0], scores)


def write(lists: Lists, path: Path, collection: Collection | None) -> Lost:
    """A line for each pair of a positive and a negative of a list."""
    require(lists, "labels", "teacher_scores")
    lost = Counter(dropped(lists, "labels", "teacher_scores", "teacher_order"))
    with atomic_write(path) as file:
        for number in range(len(lists)):
            row = lists[number]
            assert row.teacher_scores is not None
            scores = row.teacher_scores.astype(str).tolist()  # the shortest that reads as the same float32
            positives, negatives = by_label(row, lost)
            lost["lists without a positive"] += not positives
            lost["lists without a negative"] += not negatives
            lost["lists taken apart into pairs"] += len(positives) * len(negatives) > 1
            for one in positives:
                for other in negatives:
                    cells = (scores[one], scores[other], row.query_id, row.passage_ids[one], row.passage_ids[other])
                    file.write(("\t".join(cells) + "\n").encode())
    return lost


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Such a file, as it is published."""
    pairs = ((of, *of.positive, *negative) for of in queries for negative in of.negatives[:3])
    lines = (
        f"{score}\t{other}\t{of.query_id}\t{positive}\t{negative}" for of, positive, score, negative, other in pairs
    )
    write_lines(path, lines)


FORMAT = Format(
    "teacher scores of triples by Hofstätter et al.: `pos_score neg_score query_id pos_passage_id neg_passage_id`",
    read,
    example,
    is_pairs=True,
    md5={
        "bert_cat_ensemble_msmarcopassage_train_scores_ids.tsv": "4d99696386f96a7f1631076bcc53ac3c",
        "bertbase_cat_msmarcopassage_train_scores_ids.tsv": "a2575af08a19b47c2041e67c9efcd917",
    },
    write=write,
)
