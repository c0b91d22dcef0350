"""The files that sentence-transformers puts beside a checkpoint, in the spellings of all its versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limbeck.core.errors import DataError, UsageError
from limbeck.core.json_files import Schema, fault_of
from limbeck.models.sources import ModelSource

_TRANSFORMER_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)


@dataclass(frozen=True)
class Module:
    """One of a checkpoint's modules: its class, in full where of another library, its folder, and its full name."""

    kind: str
    path: str
    name: str = ""


@dataclass(frozen=True)
class TextSettings:
    """How texts are cut and what is put around them.

    max_length  longest text in tokens, special ones included; None where the checkpoint leaves it to the tokeniser
    lower_case  whether texts are put in lower case before they are tokenised
    prompts     what is put before a "query" and a "document"; empty texts where the checkpoint names none
    similarity  "cosine", "dot" or another measure of embeddings; None where the checkpoint names none
    task        the transformer's task, such as "fill-mask"; None where the checkpoint names none
    output      what is taken of the transformer, such as "logits"; None where the checkpoint does not say
    """

    max_length: int | None = None
    lower_case: bool = False
    prompts: Mapping[str, str] = field(default_factory=lambda: {"query": "", "document": ""})
    similarity: str | None = None
    task: str | None = None
    output: str | None = None


def read_modules(
    source: ModelSource, transformers: Sequence[str], pooling: str, further: Sequence[str] = ()
) -> list[Module] | None:
    """A checkpoint's modules: one of `transformers`, one `pooling`, and any of the `further`; None for a plain one.

    UsageError for any other module, or others in number or order; DataError for a file that is no list of modules.
    """
    modules = list_modules(source)
    if modules is None:
        return None
    known = (*transformers, pooling, *further)
    for module in modules:
        if module.kind not in known:
            raise UsageError(
                f'{source.name}: modules.json names the module "{module.name}", supported are {", ".join(known[:-1])} '
                f"and {known[-1]}; without it the embeddings would be other ones, choose another model"
            )
    needed = [module for module in modules if module.kind not in further]
    if [module.kind for module in needed] not in [[transformer, pooling] for transformer in transformers]:
        raise UsageError(
            f"{source.name}: modules.json names {', '.join(module.kind for module in modules)}, expected one "
            f"{' or '.join(transformers)} and one {pooling}"
        )
    if needed[0].path:
        raise UsageError(
            f'{source.name}: modules.json puts the transformer in "{needed[0].path}", expected it beside '
            "modules.json; save the model again with a current sentence-transformers"
        )
    return modules


def list_modules(source: ModelSource) -> list[Module] | None:
    """All modules of a checkpoint, in their order; None for a plain one. DataError for a file that is no such list."""
    entries = source.json("modules.json")
    if entries is None:
        return None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "type" in entry for entry in entries):
        raise DataError(f"{source.name}: modules.json is not a list of modules with a type each")
    modules = []
    for number, entry in enumerate(entries):
        name = str(entry["type"])
        # Modules moved between versions: models.Pooling became sentence_transformer.modules.pooling.Pooling.
        kind = name.rpartition(".")[2] if name.startswith("sentence_transformers.") else name
        modules.append(Module(kind, str(entry.get("path", f"{number}_{kind}" if number else "")), name))
    return modules


def read_text_settings(source: ModelSource) -> TextSettings:
    """The settings of a checkpoint of any version, or the defaults of a plain one. DataError for a damaged file."""
    transformer: Mapping[str, Any] = next(
        (found for file in _TRANSFORMER_FILES if (found := read_mapping(source, file))), {}
    )
    if fault := fault_of(transformer, _TRANSFORMER):
        raise DataError(f"{source.name}: sentence-transformers' settings: {fault}")
    max_length = transformer.get("max_seq_length")
    if max_length is not None and (not isinstance(max_length, int) or max_length < 1):
        raise DataError(f"{source.name}: max_seq_length is {max_length!r}, expected a whole number ≥ 1")
    config = read_mapping(source, "config_sentence_transformers.json")
    of_text = (transformer.get("modality_config") or {}).get("text") or {}
    return TextSettings(
        max_length,
        bool(transformer.get("do_lower_case", False)),
        _prompts(config),
        config.get("similarity_fn_name"),
        transformer.get("transformer_task"),
        of_text.get("method_output_name"),
    )


_TRANSFORMER: Schema = {
    "do_lower_case?": (None, bool), "transformer_task?": (None, str),
    "modality_config?": (None, {"text?": (None, dict)}),
}  # fmt: skip


def read_mapping(source: ModelSource, file: str) -> dict[str, Any]:
    """The object in a JSON file of the checkpoint; empty where it has no such file."""
    content = source.json(file)
    if content is not None and not isinstance(content, dict):
        raise DataError(f"{source.name}: {file} holds a {type(content).__name__}, expected a JSON object")
    return content or {}


def _prompts(config: Mapping[str, Any]) -> dict[str, str]:
    """The prompts of `encode_query` and `encode_document`: by their names, else the default one."""
    schema: Schema = {"prompts?": (None, {...: str}), "default_prompt_name?": (None, str)}
    if fault := fault_of(config, schema):
        raise DataError(f"config_sentence_transformers.json: {fault}")
    named: Mapping[str, str] = config.get("prompts") or {}
    default = named.get(config.get("default_prompt_name") or "", "")
    document = next((named[name] for name in ("document", "passage", "corpus") if name in named), default)
    return {"query": named.get("query", default), "document": document}


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
        read_pooling(source, pooling_file, pooling),
        texts.max_length,
        texts.lower_case,
        texts.prompts,
        "cosine" if normalised else texts.similarity or "cosine",
    )


def read_pooling(source: ModelSource, file: str, config: Mapping[str, Any], supported: Sequence[str] = POOLINGS) -> str:
    """The one mode of pooling that a file of a checkpoint asks for. UsageError for another than those supported."""
    flags = [key for key, value in config.items() if key.startswith(_FLAG) and value is True]
    modes = config.get("pooling_mode", [_FLAGS.get(flag, flag.removeprefix(_FLAG)) for flag in flags] or ["mean"])
    modes = [modes] if isinstance(modes, str) else list(modes)
    if len(modes) != 1 or modes[0] not in supported:
        raise UsageError(
            f"{source.name}: {file} asks for pooling {' + '.join(map(str, modes))}, supported is one of "
            f"{', '.join(supported)}; choose another model"
        )
    return str(modes[0])


SPLADE_POOLINGS = ("max", "sum")
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
    for what, found, known in (("pooling", pooling, SPLADE_POOLINGS), ("activation", activation, ACTIVATIONS)):
        if found not in known:
            raise UsageError(
                f"{source.name}: {file} asks for the {what} {found}, supported is one of {', '.join(known)}; choose "
                "another model"
            )
    return SpladeLayout(pooling, activation, texts.max_length, texts.lower_case, texts.prompts)
