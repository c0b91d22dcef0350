"""What limbeck has to know of an architecture: one record each, read by all who would otherwise ask for names."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Family:
    """An architecture, by transformers' `model_type`. The defaults hold for one of which nothing is known.

    Attributes:
        bert_layers: layers are made of BERT's parts under BERT's names, and the head reads the first token alone: the
            last layer computes that one, query, key and value are one product, and sequences can be packed.
        pools_rows: the head pools the tokens of a row, so that packed sequences are pooled before it; its attention
            takes a sliding window.
        positions_after_padding: the first token's position is one after the padding token's id.
        ignores_padding: whether a pair's score is the same with padding beside it. Where that is not known (None), it
            is tried when the model is loaded.
        attention_dropout: the configuration's key for the dropout of attention weights.
        fp16: whether its activations stay within what float16 holds.
        counts_ends: the head reads the last end of a sequence in a row, and refuses rows with ends in unequal number,
            as a text brings them that holds the mark itself.
    """

    bert_layers: bool = False
    pools_rows: bool = False
    positions_after_padding: bool = False
    ignores_padding: bool | None = None
    attention_dropout: str = "attention_probs_dropout_prob"
    fp16: bool = True
    counts_ends: bool = False

    @property
    def packs(self) -> bool:
        """Whether attention can be told where sequences end, and the head reads what it gives for them.

        Not so MPNet and DeBERTa, whose attention adds what depends on the distance of two tokens of one row.
        """
        return self.bert_layers or self.pools_rows


_BERT = Family(bert_layers=True, ignores_padding=True)
_ROBERTA = Family(bert_layers=True, ignores_padding=True, positions_after_padding=True)
_MIXES = Family(ignores_padding=False)
_ENDS = Family(counts_ends=True)

FAMILIES = {
    "bert": _BERT,
    "electra": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "modernbert": Family(pools_rows=True, ignores_padding=True, attention_dropout="attention_dropout"),
    "mpnet": Family(ignores_padding=True, positions_after_padding=True),
    "distilbert": Family(ignores_padding=True, attention_dropout="attention_dropout"),
    "deberta-v2": Family(ignores_padding=True, fp16=False),
    "deberta": Family(fp16=False),
    "fnet": _MIXES,
    "convbert": _MIXES,
    "nystromformer": _MIXES,
    "yoso": _MIXES,
    **dict.fromkeys(("bart", "bigbird_pegasus", "mbart", "mt5", "mvp", "plbart", "t5", "umt5"), _ENDS),
    "xlnet": _MIXES,  # and its head reads the last token of a row, whatever it is
}
"""`model_type` → what is known of it. transformers gives DeBERTa-v3 the type of v2."""


def family_of(model: Any) -> Family:
    """The record of a model's architecture."""
    return FAMILIES.get(model.config.model_type, Family())
