"""How a SPLADE checkpoint weighs the terms of its texts: activation, pooling, length, case and prompts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from limbeck.encoder.sentence_files import read_mapping, read_modules, read_text_settings
from limbeck.encoder.source import ModelSource
from limbeck.errors import UsageError

POOLINGS = ("max", "sum")
ACTIVATIONS = ("relu", "log1p_relu")


@dataclass(frozen=True)
class SpladeLayout:
    """Settings of a checkpoint beside its weights.

    pooling     over the text's tokens: "max" (SPLADE v2, Formal et al. 2021, arXiv 2109.10086), or "sum" (SPLADE)
    activation  of a logit x: "relu": log(1 + relu(x)), or "log1p_relu": the logarithm taken twice (arXiv 2504.14839)
    max_length  longest text in tokens, special ones included; None where the checkpoint leaves it to the tokeniser
    lower_case  whether texts are put in lower case before they are tokenised
    prompts     what is put before a "query" and a "document"; empty texts where the checkpoint names none
    """

    pooling: str = "max"
    activation: str = "relu"
    max_length: int | None = None
    lower_case: bool = False
    prompts: Mapping[str, str] = field(default_factory=lambda: {"query": "", "document": ""})


def read_splade_layout(source: ModelSource) -> SpladeLayout:
    """The layout of a checkpoint of sentence-transformers' SparseEncoder, or the defaults of a plain masked LM.

    UsageError for what would give other weights and is not done here: further modules, such as the Router of models
    that look up a query's weights instead of computing them. DataError for a file that is not as its format promises.
    """
    # A Transformer whose task is fill-mask took the place of the MLMTransformer.
    modules = read_modules(source, ("MLMTransformer", "Transformer"), "SpladePooling")
    texts = read_text_settings(source)
    if modules is None:
        return SpladeLayout("max", "relu", texts.max_length, texts.lower_case, texts.prompts)
    task = texts.task or ("fill-mask" if modules[0].kind == "MLMTransformer" else "feature-extraction")
    output = texts.output or "logits"
    if task != "fill-mask" or output != "logits":
        raise UsageError(
            f"{source.name}: its transformer gives {output} of the task {task}, supported are the logits of fill-mask; "
            "choose another model"
        )
    file = f"{modules[1].path}/config.json"
    config = read_mapping(source, file)
    pooling, activation = config.get("pooling_strategy", "max"), config.get("activation_function", "relu")
    for what, found, known in (("pooling", pooling, POOLINGS), ("activation", activation, ACTIVATIONS)):
        if found not in known:
            raise UsageError(
                f"{source.name}: {file} asks for the {what} {found}, supported is one of {', '.join(known)}; choose "
                "another model"
            )
    return SpladeLayout(pooling, activation, texts.max_length, texts.lower_case, texts.prompts)
