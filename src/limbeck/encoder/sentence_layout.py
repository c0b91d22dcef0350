"""How a sentence-transformers checkpoint wants its texts embedded: pooling, length, case and prompts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limbeck.encoder.sentence_files import read_mapping, read_modules, read_text_settings
from limbeck.encoder.source import ModelSource
from limbeck.errors import UsageError

POOLINGS = ("mean", "cls")
# Old checkpoints have a flag per mode, new ones a single key.
_FLAG = "pooling_mode_"
_FLAGS = {f"{_FLAG}mean_tokens": "mean", f"{_FLAG}cls_token": "cls"}


@dataclass(frozen=True)
class SentenceLayout:
    """Settings of a checkpoint beside its weights.

    pooling     "mean" over the text's tokens, or "cls": the first one
    max_length  longest text in tokens, special ones included; None where the checkpoint leaves it to the tokeniser
    lower_case  whether texts are put in lower case before they are tokenised
    prompts     what is put before a "query" and a "document"; empty texts where the checkpoint names none
    similarity  what embeddings are compared by: "cosine", "dot", or another measure that the checkpoint names
    """

    pooling: str = "mean"
    max_length: int | None = None
    lower_case: bool = False
    prompts: Mapping[str, str] = field(default_factory=lambda: {"query": "", "document": ""})
    similarity: str = "cosine"


def read_sentence_layout(source: ModelSource) -> SentenceLayout:
    """The layout of a checkpoint written by any version of sentence-transformers, or the defaults of a plain one.

    UsageError for what would change embeddings and is not done here: other pooling than mean or cls alone, further
    modules such as Dense, prompts that pooling leaves out. DataError for a file that is not as its format promises.
    """
    modules = read_modules(source, ("Transformer",), "Pooling", ("Normalize",)) or []
    pooling_file = f"{next((m.path for m in modules if m.kind == 'Pooling'), '1_Pooling')}/config.json"
    pooling = read_mapping(source, pooling_file)
    texts = read_text_settings(source)
    task, output = texts.task or "feature-extraction", texts.output or "last_hidden_state"
    if task != "feature-extraction" or output != "last_hidden_state":
        raise UsageError(
            f"{source.name}: its transformer gives {output} of the task {task}, supported is last_hidden_state of "
            "feature-extraction; choose another model"
        )
    if any(texts.prompts.values()) and not pooling.get("include_prompt", True):
        raise UsageError(f"{source.name}: {pooling_file} leaves the prompt out of pooling, which is not supported")
    # Of embeddings that are normalised already, the product is the cosine.
    normalised = any(module.kind == "Normalize" for module in modules)
    return SentenceLayout(
        _pooling(source, pooling_file, pooling),
        texts.max_length,
        texts.lower_case,
        texts.prompts,
        "cosine" if normalised else texts.similarity or "cosine",
    )


def _pooling(source: ModelSource, file: str, config: Mapping[str, Any]) -> str:
    flags = [key for key, value in config.items() if key.startswith(_FLAG) and value is True]
    modes = config.get("pooling_mode", [_FLAGS.get(flag, flag.removeprefix(_FLAG)) for flag in flags] or ["mean"])
    modes = [modes] if isinstance(modes, str) else list(modes)
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise UsageError(
            f"{source.name}: {file} asks for pooling {' + '.join(map(str, modes))}, supported is one of "
            f"{', '.join(POOLINGS)}; choose another model"
        )
    return str(modes[0])
