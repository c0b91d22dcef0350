"""How a sentence-transformers checkpoint wants its texts embedded: pooling, length, case and prompts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limbeck.encoder import ModelSource
from limbeck.errors import DataError, MissingError, UsageError

POOLINGS = ("mean", "cls")
# Old checkpoints have a flag per mode, new ones a single key.
_FLAG = "pooling_mode_"
_FLAGS = {f"{_FLAG}mean_tokens": "mean", f"{_FLAG}cls_token": "cls"}
_TRANSFORMER_CONFIGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)


@dataclass(frozen=True)
class SentenceLayout:
    """Settings of a checkpoint beside its weights.

    pooling     "mean" over the text's tokens, or "cls": the first one
    max_length  longest text in tokens, special ones included; None where the checkpoint leaves it to the tokeniser
    lower_case  whether texts are put in lower case before they are tokenised
    prompts     what is put before a "query" and a "document"; empty texts where the checkpoint names none
    """

    pooling: str = "mean"
    max_length: int | None = None
    lower_case: bool = False
    prompts: Mapping[str, str] = field(default_factory=lambda: {"query": "", "document": ""})


def read_sentence_layout(source: ModelSource) -> SentenceLayout:
    """The layout of a checkpoint written by any version of sentence-transformers, or the defaults of a plain one.

    UsageError for what would change embeddings and is not done here: other pooling than mean or cls alone, further
    modules such as Dense, prompts that pooling leaves out. DataError for a file that is not as its format promises.
    """
    modules = _read(source, "modules.json")
    pooling_file = "1_Pooling/config.json"
    if modules is not None:
        pooling_file = _pooling_file(source, modules)
    pooling = _mapping(source, pooling_file) or {}
    transformer: Mapping[str, Any] = {}
    for file in _TRANSFORMER_CONFIGS:
        if found := _mapping(source, file):
            transformer = found
            break
    _check_task(source, transformer)
    prompts = _prompts(_mapping(source, "config_sentence_transformers.json") or {})
    if any(prompts.values()) and not pooling.get("include_prompt", True):
        raise UsageError(f"{source.name}: {pooling_file} leaves the prompt out of pooling, which is not supported")
    max_length = transformer.get("max_seq_length")
    if max_length is not None and (not isinstance(max_length, int) or max_length < 1):
        raise DataError(f"{source.name}: max_seq_length is {max_length!r}, expected a whole number ≥ 1")
    return SentenceLayout(
        _pooling(source, pooling_file, pooling), max_length, bool(transformer.get("do_lower_case", False)), prompts
    )


def _pooling_file(source: ModelSource, modules: Any) -> str:
    """Where the Pooling module's settings are, having seen that no module changes embeddings in another way."""
    if not isinstance(modules, list) or not all(isinstance(module, dict) and "type" in module for module in modules):
        raise DataError(f"{source.name}: modules.json is not a list of modules with a type each")
    names = [str(module["type"]) for module in modules]
    # Modules moved between versions: models.Pooling became sentence_transformer.modules.pooling.Pooling.
    kinds = [name.rpartition(".")[2] if name.startswith("sentence_transformers.") else name for name in names]
    for name, kind in zip(names, kinds, strict=True):
        if kind not in ("Transformer", "Pooling", "Normalize"):
            raise UsageError(
                f'{source.name}: modules.json names the module "{name}", supported are Transformer, Pooling and '
                "Normalize; without it the embeddings would be other ones, choose another model"
            )
    if [kind for kind in kinds if kind != "Normalize"] != ["Transformer", "Pooling"]:
        raise UsageError(
            f"{source.name}: modules.json names {', '.join(kinds)}, expected one Transformer and one Pooling"
        )
    transformer, pooling = modules[kinds.index("Transformer")], modules[kinds.index("Pooling")]
    if transformer.get("path", ""):
        raise UsageError(
            f'{source.name}: modules.json puts the transformer in "{transformer["path"]}", expected it beside '
            "modules.json; save the model again with a current sentence-transformers"
        )
    return f"{pooling.get('path', '1_Pooling')}/config.json"


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


def _check_task(source: ModelSource, config: Mapping[str, Any]) -> None:
    task = config.get("transformer_task", "feature-extraction")
    text = config.get("modality_config", {}).get("text", {})
    output = text.get("method_output_name", "last_hidden_state")
    if task != "feature-extraction" or output != "last_hidden_state":
        raise UsageError(
            f"{source.name}: its transformer gives {output} of the task {task}, supported is last_hidden_state of "
            "feature-extraction; choose another model"
        )


def _prompts(config: Mapping[str, Any]) -> dict[str, str]:
    """The prompts of `encode_query` and `encode_document`: by their names, else the default one."""
    named: Mapping[str, str] = config.get("prompts") or {}
    default = named.get(config.get("default_prompt_name") or "", "")
    document = next((named[name] for name in ("document", "passage", "corpus") if name in named), default)
    return {"query": named.get("query", default), "document": document}


def _mapping(source: ModelSource, file: str) -> dict[str, Any] | None:
    content = _read(source, file)
    if content is not None and not isinstance(content, dict):
        raise DataError(f"{source.name}: {file} holds a {type(content).__name__}, expected a JSON object")
    return content


def _read(source: ModelSource, file: str) -> Any:
    """The content of a JSON file of the checkpoint, or None where it has no such file."""
    path = Path(source.path) / file
    if source.kind == "hub":
        from transformers.utils.hub import cached_file

        # An absent file is normal; a Hub that cannot be asked is not: the file may well be there.
        try:
            found = cached_file(source.path, file, _raise_exceptions_for_missing_entries=False)
        except OSError as error:
            raise MissingError(f"{source.name}: {str(error).splitlines()[0]}") from error
        if found is None:
            return None
        path = Path(found)
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error})") from error
