"""The files that sentence-transformers puts beside a checkpoint, in the spellings of all its versions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limbeck.encoder.source import ModelSource
from limbeck.errors import DataError, MissingError, UsageError

_TRANSFORMER_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)


@dataclass(frozen=True)
class Module:
    """One of a checkpoint's modules: its class, in full where it is of another library, and the folder it is in."""

    kind: str
    path: str


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
    entries = read_json(source, "modules.json")
    if entries is None:
        return None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "type" in entry for entry in entries):
        raise DataError(f"{source.name}: modules.json is not a list of modules with a type each")
    modules = []
    known = (*transformers, pooling, *further)
    for entry in entries:
        name = str(entry["type"])
        # Modules moved between versions: models.Pooling became sentence_transformer.modules.pooling.Pooling.
        kind = name.rpartition(".")[2] if name.startswith("sentence_transformers.") else name
        if kind not in known:
            raise UsageError(
                f'{source.name}: modules.json names the module "{name}", supported are {", ".join(known[:-1])} and '
                f"{known[-1]}; without it the embeddings would be other ones, choose another model"
            )
        modules.append(Module(kind, str(entry.get("path", f"1_{kind}" if kind == pooling else ""))))
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


def read_text_settings(source: ModelSource) -> TextSettings:
    """The settings of a checkpoint of any version, or the defaults of a plain one. DataError for a damaged file."""
    transformer: Mapping[str, Any] = next(
        (found for file in _TRANSFORMER_FILES if (found := read_mapping(source, file))), {}
    )
    max_length = transformer.get("max_seq_length")
    if max_length is not None and (not isinstance(max_length, int) or max_length < 1):
        raise DataError(f"{source.name}: max_seq_length is {max_length!r}, expected a whole number ≥ 1")
    config = read_mapping(source, "config_sentence_transformers.json")
    return TextSettings(
        max_length,
        bool(transformer.get("do_lower_case", False)),
        _prompts(config),
        config.get("similarity_fn_name"),
        transformer.get("transformer_task"),
        transformer.get("modality_config", {}).get("text", {}).get("method_output_name"),
    )


def read_mapping(source: ModelSource, file: str) -> dict[str, Any]:
    """The object in a JSON file of the checkpoint; empty where it has no such file."""
    content = read_json(source, file)
    if content is not None and not isinstance(content, dict):
        raise DataError(f"{source.name}: {file} holds a {type(content).__name__}, expected a JSON object")
    return content or {}


def read_json(source: ModelSource, file: str) -> Any:
    """The content of a JSON file of the checkpoint, or None where it has no such file."""
    path = Path(source.path) / file
    if source.kind == "hub":
        from transformers.utils.hub import cached_file

        # An absent file is normal; a Hub that cannot be asked is not: the file may well be there.
        try:
            found = cached_file(
                source.path, file, revision=source.revision, _raise_exceptions_for_missing_entries=False
            )
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


def _prompts(config: Mapping[str, Any]) -> dict[str, str]:
    """The prompts of `encode_query` and `encode_document`: by their names, else the default one."""
    named: Mapping[str, str] = config.get("prompts") or {}
    default = named.get(config.get("default_prompt_name") or "", "")
    document = next((named[name] for name in ("document", "passage", "corpus") if name in named), default)
    return {"query": named.get("query", default), "document": document}
