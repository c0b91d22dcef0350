from collections.abc import Callable

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from limbeck.core.errors import UsageError
from limbeck.tokens.pairs import PairTemplate

Make = Callable[[str], PreTrainedTokenizerBase]
SEPARATORS = {"roberta": 2, "mpnet": 2}  # special tokens between query and passage; elsewhere 1
WITH_TYPES = ("bert", "electra", "deberta-v3")
STYLES = ("bert", "roberta", "electra", "deberta-v3", "modernbert", "mpnet", "distilbert")


@pytest.mark.parametrize("style", STYLES)
def test_assembled_pairs_are_the_tokenisers_own(style: str, tokenizer: Make, some_pairs: list[tuple[str, str]]) -> None:
    tokens = tokenizer(style)
    template = PairTemplate.of(tokens)
    assert len(template.middle) == SEPARATORS.get(style, 1)
    assert template.special_tokens == 2 + SEPARATORS.get(style, 1)
    assert template.pad_id == tokens.pad_token_id
    assert (template.token_types is not None) == (style in WITH_TYPES)
    for query, passage in some_pairs:
        first, second = (
            np.asarray(tokens(text, add_special_tokens=False)["input_ids"], int) for text in (query, passage)
        )
        encoded = tokens([query], [passage])  # alone, transformers takes an empty passage for none
        assert template.assemble(first, second).tolist() == encoded["input_ids"][0]
        if style in WITH_TYPES:
            assert template.types(len(first), len(second)).tolist() == encoded["token_type_ids"][0]


def word_level(pair: str, specials: tuple[str, ...] = ("[CLS]", "[SEP]")) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1, "[UNK]": 2, "which": 3, "answer": 4}, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", pair=pair, special_tokens=[(token, backend.token_to_id(token)) for token in specials]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def test_token_types_of_all_five_parts_are_read() -> None:
    tokens = word_level("[CLS]:3 $A:1 [SEP]:4 $B:2 [SEP]:5")
    template = PairTemplate.of(tokens)
    assert template.token_types == (3, 1, 4, 2, 5)
    assert template.types(2, 3).tolist() == [3, 1, 1, 4, 2, 2, 2, 5]
    assert template.types(0, 0).tolist() == [3, 4, 5]


def test_a_pair_without_special_tokens_between_or_behind_is_read() -> None:
    template = PairTemplate.of(word_level("[CLS] $A $B:1", ("[CLS]",)))
    assert (template.prefix, template.middle, template.suffix) == ((0,), (), ())
    assert template.types(1, 2).tolist() == [0, 0, 1, 1]


def test_a_tokeniser_whose_special_tokens_differ_in_type_within_a_part_is_refused() -> None:
    with pytest.raises(UsageError, match="depends on the texts"):
        PairTemplate.of(word_level("[CLS] $A [SEP]:0 [SEP]:1 $B:1 [SEP]:1"))


def test_a_tokeniser_that_puts_the_passage_first_is_refused() -> None:
    with pytest.raises(UsageError, match="other tokens when the text is part of a pair"):
        PairTemplate.of(word_level("[CLS] $B [SEP] $A:1 [SEP]"))
