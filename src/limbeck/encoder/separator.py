"""A tokeniser that puts one separator between query and passage, where RoBERTa's own puts two."""

from typing import Any

from limbeck.encoder.template import PairTemplate


def with_single_separator(tokenizer: Any) -> Any:
    """The tokeniser, joining a pair as `[CLS] query [SEP] passage [SEP]`; itself, if it does so already.

    It is saved as a generic tokeniser: RoBERTa's own class puts its two separators back when it is loaded.
    """
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    if len(PairTemplate.of(tokenizer).middle) <= 1:
        return tokenizer
    first, separator = tokenizer.cls_token, tokenizer.sep_token
    backend = tokenizer.backend_tokenizer
    backend.post_processor = TemplateProcessing(
        single=f"{first} $A {separator}",
        pair=f"{first} $A {separator} $B {separator}",
        special_tokens=[(first, tokenizer.cls_token_id), (separator, tokenizer.sep_token_id)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=tokenizer.model_input_names,
        model_max_length=tokenizer.model_max_length,
        **tokenizer.special_tokens_map,
    )
