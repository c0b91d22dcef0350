from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from limbeck.models.cross_encoder import CrossEncoder
from limbeck.tokens.pairs import PairTemplate, with_single_separator

Make = Callable[[str], PreTrainedTokenizerBase]


@pytest.mark.parametrize("family", ["roberta", "mpnet"])
def test_one_separator_takes_the_place_of_two_and_all_else_stays(
    family: str, tokenizer: Make, some_pairs: list[tuple[str, str]]
) -> None:
    two, one = tokenizer(family), with_single_separator(tokenizer(family))
    template = PairTemplate.of(one)
    assert template.middle == (two.sep_token_id,)
    assert (template.prefix, template.suffix, template.pad_id) == (
        (two.cls_token_id,),
        (two.sep_token_id,),
        two.pad_token_id,
    )
    for query, passage in some_pairs:
        ids = two([query], [passage])["input_ids"][0]
        place = 1 + len(two(query, add_special_tokens=False)["input_ids"])
        assert one([query], [passage])["input_ids"][0] == ids[:place] + ids[place + 1 :]


@pytest.mark.parametrize("family", ["bert", "modernbert", "deberta-v3"])
def test_a_tokeniser_with_one_separator_is_left_as_it_is(family: str, tokenizer: Make) -> None:
    own = tokenizer(family)
    assert with_single_separator(own) is own


def test_a_saved_model_scores_the_same_with_the_tokeniser_that_transformers_loads(
    family_folder: Callable[[str], Path], some_pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    encoder = CrossEncoder.load(family_folder("roberta"), device="cpu", single_separator=True)
    scores = encoder.score(some_pairs)
    assert np.abs(scores - CrossEncoder.load(family_folder("roberta"), device="cpu").score(some_pairs)).max() > 1e-4
    encoder.save(tmp_path / "saved")
    assert len(PairTemplate.of(AutoTokenizer.from_pretrained(tmp_path / "saved")).middle) == 1
    assert np.array_equal(CrossEncoder.load(tmp_path / "saved", device="cpu").score(some_pairs), scores)
