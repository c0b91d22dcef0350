from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from limbeck.tokens.pairs import Cuts, Pairs, PairTemplate
from limbeck.tokens.store import TokenStore

QUERIES = {"long": "a glass flask and the still", "short": "ether"}
PASSAGES = {"empty": "", "long": "the alembic boils and the copper glows in a flask", "short": "worm drips"}


@pytest.fixture(scope="module")
def make_pairs(tokenizer: Callable[[str], PreTrainedTokenizerBase]) -> Callable[..., Pairs]:
    def make(max_length: int, query_tokens: int, style: str = "bert", passage_tokens: int | None = None) -> Pairs:
        tokens = tokenizer(style)
        stores = (TokenStore.of(texts, tokens) for texts in (QUERIES, PASSAGES))
        return Pairs(*stores, PairTemplate.of(tokens), max_length, query_tokens, passage_tokens)

    return make


def rows(pairs: Pairs, *names: tuple[str, str]) -> tuple[Any, Any]:
    return pairs.queries.rows([query for query, _ in names]), pairs.passages.rows([passage for _, passage in names])


def test_the_query_is_capped_first_and_then_only_the_passage_is_cut(make_pairs: Callable[..., Pairs]) -> None:
    pairs = make_pairs(max_length=9, query_tokens=4)
    at = rows(pairs, ("long", "long"))
    query, passage = pairs.queries[at[0][0]], pairs.passages[at[1][0]]
    assert (len(query), len(passage)) == (6, 10)
    cls, sep = pairs.template.prefix[0], pairs.template.suffix[0]
    ids = pairs.batch(*at)["input_ids"][0].tolist()
    assert ids == [cls, *query[:4], sep, *passage[:2], sep]
    assert pairs.lengths(*at).tolist() == [9]


def test_a_passage_keeps_what_room_a_short_query_leaves(make_pairs: Callable[..., Pairs]) -> None:
    pairs = make_pairs(max_length=9, query_tokens=4)
    at = rows(pairs, ("short", "long"), ("short", "short"), ("short", "empty"))
    assert pairs.lengths(*at).tolist() == [9, 6, 4]


def test_pairs_that_lose_tokens_are_counted_once(make_pairs: Callable[..., Pairs]) -> None:
    names = [("long", "long"), ("long", "short"), ("short", "long"), ("short", "short"), ("short", "empty")]
    for max_length, query_tokens, cuts in ((96, 64, 0), (96, 5, 2), (13, 64, 2), (13, 5, 3), (12, 64, 2), (10, 64, 3)):
        pairs = make_pairs(max_length, query_tokens)
        assert pairs.cuts(*rows(pairs, *names)).pairs == cuts, (max_length, query_tokens)
    assert make_pairs(10, 5).cuts(*rows(pairs, *names)) == Cuts(pairs=3, queries=1, passages=1)


def test_passages_are_cut_by_themselves_however_short_the_query(make_pairs: Callable[..., Pairs]) -> None:
    pairs = make_pairs(96, 2, passage_tokens=3)
    at = rows(pairs, ("long", "long"), ("short", "long"), ("short", "short"))
    assert pairs.lengths(*at).tolist() == [8, 7, 6]
    assert pairs.cuts(*at) == Cuts(pairs=2, queries=1, passages=1)
    query, passage = pairs.queries[at[0][1]], pairs.passages[at[1][1]]
    assert len(passage) > 3
    assert pairs.packed(*at)[0]["input_ids"][0, 8:15].tolist() == [
        *pairs.template.assemble(query, passage[:3])
    ]  # fmt: skip


@pytest.mark.parametrize("style", ["bert", "roberta", "deberta-v3", "modernbert"])
def test_batches_are_those_of_the_tokeniser(
    style: str, make_pairs: Callable[..., Pairs], tokenizer: Callable[[str], PreTrainedTokenizerBase]
) -> None:
    pairs, tokens = make_pairs(20, 64, style), tokenizer(style)
    names = [(query, passage) for query in QUERIES for passage in PASSAGES]
    batch = pairs.batch(*rows(pairs, *names))
    expected = tokens(
        [QUERIES[query] for query, _ in names],
        [PASSAGES[passage] for _, passage in names],
        padding=True,
        truncation="only_second",
        max_length=20,
        return_tensors="pt",
    )
    assert batch.keys() == expected.keys()
    for name, tensor in batch.items():
        assert tensor.tolist() == expected[name].tolist(), name


def test_there_is_an_attention_mask_only_where_there_is_padding(make_pairs: Callable[..., Pairs]) -> None:
    pairs = make_pairs(96, 64)
    alone = pairs.batch(*rows(pairs, ("long", "short")))
    assert set(alone) == {"input_ids", "token_type_ids"}
    equal = pairs.batch(*rows(pairs, ("long", "short"), ("long", "short")))
    assert "attention_mask" not in equal
    mixed = pairs.batch(*rows(pairs, ("long", "short"), ("short", "short")))
    lengths = pairs.lengths(*rows(pairs, ("long", "short"), ("short", "short")))
    assert mixed["attention_mask"].sum(1).tolist() == lengths.tolist()
    np.testing.assert_array_equal(mixed["input_ids"][1, lengths[1] :], pairs.template.pad_id)


def test_backbones_without_token_types_get_none(make_pairs: Callable[..., Pairs]) -> None:
    pairs = make_pairs(96, 64, "roberta")
    assert set(pairs.batch(*rows(pairs, ("long", "short")))) == {"input_ids"}
