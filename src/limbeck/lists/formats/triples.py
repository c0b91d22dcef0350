"""Triples of a query, a positive and a negative.

triples       ids: MS MARCO's training triples, and every other file of query, positive and negative
text-triples  texts (triples.train.small.tsv); ids are those of the collection with these texts
hofstaetter   ids and a teacher's scores, by Hofstätter et al. (2020), arXiv 2010.02666, zenodo.org/record/4068216
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from limbeck.collections import Collection
from limbeck.collections.text_files import Position
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

TRIPLE = ("query_id", "positive_id", "negative_id")
SCORED_TRIPLE = ("pos_score", "neg_score", "query_id", "pos_passage_id", "neg_passage_id")


def read_triples(path: Path, start: Position) -> Iterator[RawList]:
    """One list of two passages a line, labelled 1 and 0."""
    for place, (query_id, positive, negative) in columns(path, start, TRIPLE):
        yield RawList(place, query_id, [positive, negative], labels=[1.0, 0.0])


def example_of_triples(
    queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path
) -> None:
    """Such a file, as it is published."""
    pairs = ((of, negative) for of in queries for negative, _ in of.negatives[:3])
    write_lines(path, (f"{of.query_id}\t{of.positive[0]}\t{negative}" for of, negative in pairs))


def read_text_triples(path: Path, start: Position) -> Iterator[RawList]:
    """One list of two passages a line, labelled 1 and 0; texts stand where ids do elsewhere."""
    for place, (query, positive, negative) in columns(path, start, ("query", "positive", "negative")):
        yield RawList(place, query, [positive, negative], labels=[1.0, 0.0])


def example_of_text_triples(
    queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path
) -> None:
    """Such a file, as it is published."""
    texts = (
        (collection.queries[of.query_id], collection.documents[of.positive[0]], collection.documents[negative])
        for of in queries
        for negative, _ in of.negatives[:3]
    )
    write_lines(path, map("\t".join, texts))


def read_scored_triples(path: Path, start: Position) -> Iterator[RawList]:
    """One list of two passages a line: labels 1 and 0, and the teacher's two scores."""
    for place, (positive_score, negative_score, query_id, positive, negative) in columns(path, start, SCORED_TRIPLE):
        scores = [number(positive_score, "pos_score", path, place), number(negative_score, "neg_score", path, place)]
        yield RawList(place, query_id, [positive, negative], [1.0, 0.0], scores)


def write_scored_triples(lists: Lists, path: Path, collection: Collection | None) -> Lost:
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


def example_of_scored_triples(
    queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path
) -> None:
    """Such a file, as it is published."""
    pairs = ((of, *of.positive, *negative) for of in queries for negative in of.negatives[:3])
    lines = (
        f"{score}\t{other}\t{of.query_id}\t{positive}\t{negative}" for of, positive, score, negative, other in pairs
    )
    write_lines(path, lines)


FORMATS = {
    "triples": Format(
        "id triples `query_id positive_id negative_id`, as MS MARCO's qidpidtriples",
        read_triples,
        example_of_triples,
        is_pairs=True,
        md5={"qidpidtriples.train.full.2.tsv.gz": "4e58f45f82f3fe99e3239ecffd8ed371"},
    ),
    "text-triples": Format(
        "text triples `query positive negative`, as MS MARCO's triples.train.small.tsv",
        read_text_triples,
        example_of_text_triples,
        is_text=True,
        is_pairs=True,
    ),
    "hofstaetter": Format(
        "teacher scores of triples by Hofstätter et al.: `pos_score neg_score query_id pos_passage_id neg_passage_id`",
        read_scored_triples,
        example_of_scored_triples,
        is_pairs=True,
        md5={
            "bert_cat_ensemble_msmarcopassage_train_scores_ids.tsv": "4d99696386f96a7f1631076bcc53ac3c",
            "bertbase_cat_msmarcopassage_train_scores_ids.tsv": "a2575af08a19b47c2041e67c9efcd917",
        },
        write=write_scored_triples,
    ),
}
