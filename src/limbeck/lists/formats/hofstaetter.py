"""Teacher scores of triples by Hofstätter et al. (2020), arXiv 2010.02666, zenodo.org/record/4068216."""

from collections.abc import Iterator
from pathlib import Path

from limbeck.collections.lines import Place
from limbeck.lists.formats.columns import columns, number
from limbeck.lists.formats.format import Format, Row

COLUMNS = ("pos_score", "neg_score", "query_id", "pos_passage_id", "neg_passage_id")


def read(path: Path, start: Place) -> Iterator[Row]:
    """One list of two passages a line: labels 1 and 0, and the teacher's two scores."""
    for place, (positive_score, negative_score, query_id, positive, negative) in columns(path, start, COLUMNS):
        scores = [number(positive_score, "pos_score", path, place), number(negative_score, "neg_score", path, place)]
        yield Row(place, query_id, [positive, negative], [1.0, 0.0], scores)


FORMAT = Format(
    "teacher scores of triples by Hofstätter et al.: `pos_score neg_score query_id pos_passage_id neg_passage_id`",
    read,
    md5={"bert_cat_ensemble_msmarcopassage_train_scores_ids.tsv": "4d99696386f96a7f1631076bcc53ac3c"},
)
