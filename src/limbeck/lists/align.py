"""Rows of a published file made to fit a collection: ids for texts, its split's queries, its judgments as labels."""

from collections import Counter

import numpy as np

from limbeck.collections import Collection
from limbeck.lists.candidates import CorpusNegatives, judged_labels, missing_positives
from limbeck.lists.formats import RawList
from limbeck.lists.lists import SIGNALS
from limbeck.lists.signals import average_ranks
from limbeck.lists.text_lookup import TextIds


class Fit:
    """Row → row that fits, or None for one of which nothing is left; what is left out is counted.

    Args:
        collection: only queries of its split stay, and passages with a text. Where looking texts up is dear (in
            ir_datasets' stores), passages are left unchecked: training names one that is missing. None: ids are taken
            as they are.
        depth: the first so many passages of a list.
        labels: grades of the judgments take the place of the row's labels; unjudged and negative ones are 0.
        add_positives: judged passages with a grade above 0 that the list lacks are put at its end, best grade first.
        is_text: ids are texts, and are looked up in the collection.
        corpus_negatives: with labels of judgments, so many passages of the whole collection are put behind all others.
    """

    def __init__(
        self,
        collection: Collection | None,
        depth: int | None,
        labels: bool,
        add_positives: bool,
        is_text: bool,
        corpus_negatives: int = 0,
    ) -> None:
        self.collection, self.depth, self.labels, self.add_positives = collection, depth, labels, add_positives
        self.counts: Counter[str] = Counter()
        self._easy = CorpusNegatives(collection, corpus_negatives) if collection and corpus_negatives else None
        self._split = frozenset(collection.query_ids) if collection else frozenset()
        self._texts = collection.documents if collection and collection.documents_identity is None else None
        self._queries = TextIds(collection.queries.items()) if collection and is_text else None
        self._passages = TextIds(collection.documents.items()) if collection and is_text else None

    def __call__(self, row: RawList) -> RawList | None:
        if not row.passage_ids:
            self.counts["lists_without_passages"] += 1
            return None
        if self.collection is None:
            return row if self.depth is None else _choose(row, list(range(len(row.passage_ids)))[: self.depth])
        if self._queries is not None and self._passages is not None:
            known = self._queries.find(row.query_id)
            if known is None:
                self.counts["queries_without_text"] += 1
                return None
            # A text without an id keeps itself as one, which no collection has.
            passages = [self._passages.find(text) or f"\n{text}" for text in row.passage_ids]
            row = row._replace(query_id=known, passage_ids=passages)
        if row.query_id not in self._split:
            self.counts["lists_outside_split"] += 1
            return None
        row = self._choose_passages(row)
        if self.labels:
            row = self._judged(row)
        if not row.passage_ids:
            self.counts["lists_without_passages"] += 1
            return None
        return row

    def _choose_passages(self, row: RawList) -> RawList:
        assert self.collection is not None
        dropped = row.query_id if self.collection.drop_query_document else None
        kept = [n for n, passage in enumerate(row.passage_ids) if passage != dropped][: self.depth]
        if self._texts is None and self._passages is None:
            return _choose(row, kept)
        there = [n for n in kept if self._is_there(row.passage_ids[n])]
        self.counts["passages_without_text"] += len(kept) - len(there)
        if self._passages is not None:
            # A text may come twice, or two be one to the collection, which looks past blanks.
            once = sorted({row.passage_ids[n]: n for n in reversed(there)}.values())
            self.counts["texts_twice"] += len(there) - len(once)
            there = once
        return _choose(row, there)

    def _is_there(self, passage: str) -> bool:
        return not passage.startswith("\n") if self._texts is None else passage in self._texts

    def _judged(self, row: RawList) -> RawList:
        assert self.collection is not None
        self.counts["lists_without_judgments"] += not self.collection.qrels.get(row.query_id)
        passages = list(row.passage_ids)
        if self.add_positives:
            missing = missing_positives(self.collection, row.query_id, passages)
            there = [passage for passage in missing if self._texts is None or passage in self._texts]
            self.counts["positives_without_text"] += len(missing) - len(there)
            self.counts["positives_added"] += len(there)
            passages += there
        if self._easy is not None and passages:
            passages += self._easy.draw(row.query_id, passages)
        return row._replace(passage_ids=passages, labels=judged_labels(self.collection, row.query_id, passages))


def _choose(row: RawList, places: list[int]) -> RawList:
    """The passages at `places`, ascending; their order counts from 1 again, as if they had been alone."""
    if len(places) == len(row.passage_ids):
        return row
    labels, scores, order = ([v[n] for n in places] if (v := getattr(row, name)) else v for name in SIGNALS)
    if order:
        order = average_ranks(np.array(order)).tolist()
    return RawList(row.place, row.query_id, [row.passage_ids[n] for n in places], labels, scores, order)
