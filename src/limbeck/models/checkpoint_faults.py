"""What can be wrong with a checkpoint: weights missing or left over, heads of other shapes, code, unreadable files."""

import warnings
from collections.abc import Mapping
from typing import Any

from limbeck.core.errors import DataError, LimbeckError, MissingError, UsageError
from limbeck.core.json_files import Schema, fault_of
from limbeck.models.adapters import CONFIG as ADAPTER
from limbeck.models.sources import ModelSource

_REMOTE_CLASSES = {"AutoConfig", "AutoModel", "AutoModelForSequenceClassification"}
_OTHER_HEADS = ("cls.", "lm_head.", "lm_predictions.", "mask_predictions.", "generator_", "discriminator_", "vocab_",
                "decoder.", "qa_outputs.", "head.", "predictions.", "seq_relationship.")  # fmt: skip
"""How weights begin that pre-training leaves in a checkpoint, and scoring does not use."""


def refuse_remote_code(config: dict[str, Any], source: ModelSource) -> None:
    remote = sorted(_REMOTE_CLASSES & set(config.get("auto_map") or ()))
    if remote:
        raise UsageError(
            f"{source.name}: its config.json names code of its own for {', '.join(remote)} (auto_map). limbeck runs no "
            "code that comes with a model: it could do anything on this machine, and transformers' own class of the "
            "same type may compute something else. Choose another model; if transformers has this architecture built "
            "in, take auto_map out of a local copy's config.json and compare scores"
        )


MOST_LAYERS = 1000
"""Of a configuration that can be meant; 10^9 of them would be built for hours."""


def expect_layers(config: dict[str, Any], source: ModelSource) -> None:
    """DataError for a number of layers that no model has."""
    for name in ("num_hidden_layers", "n_layers", "num_layers", "n_layer", "encoder_layers"):
        layers = config.get(name)
        if isinstance(layers, int | float) and not 0 <= layers <= MOST_LAYERS:
            raise DataError(f"{source.name}: config.json has {name} {layers}; expected 0 to {MOST_LAYERS}")


def refuse_adapter(source: ModelSource) -> None:
    """UsageError where an adapter's effect would be lost."""
    if source.file(ADAPTER) is not None:
        raise UsageError(
            f"{source.name}: {ADAPTER} is of an adapter, which is merged into cross-encoders alone. Merge it with peft "
            "(merge_and_unload), save the model, and name that folder"
        )


def expect_vocabulary(tokenizer: Any, source: ModelSource) -> None:
    """MissingError for a tokeniser that transformers made up, where its files are absent: of special tokens alone."""
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise MissingError(f"{source.name}: no tokeniser beside the weights; expected tokenizer.json or its vocabulary")


_SAVED: Schema = (None, {"query_tokens?": (None, int), "passage_tokens?": (None, int), "calibration?": (None, dict)})
"""What limbeck keeps in config.json, under its own name."""


def expect_saved(config: Any, source: ModelSource) -> None:
    if fault := fault_of(getattr(config, "limbeck", None), _SAVED, "limbeck"):
        raise DataError(f"{source.name}: config.json: {fault}")


def expect_one_score(config: Any, source: ModelSource) -> None:
    classifier = any("SequenceClassification" in name for name in config.architectures or ())
    if classifier and config.num_labels != 1:
        raise UsageError(
            f"{source.name}: its head gives {config.num_labels} values, a re-ranker needs 1; expected a backbone "
            "without a head or a cross-encoder with num_labels = 1"
        )
    config.num_labels = 1


def expect_weights(
    model: Any,
    missing: set[str],
    unexpected: set[str],
    config: Mapping[str, Any],
    source: ModelSource,
    layers: int | None,
    new_head: bool,
) -> None:
    """Only a head may be drawn at random, and only where a new one is asked for; no weights may be left out.

    Pre-training leaves heads of its own in a checkpoint, and poolers are stored whether or not they are used.
    """
    kind, prefix = model.config.model_type, model.base_model_prefix + "."
    backbone = {name for name in missing if name.startswith(prefix) and ".pooler." not in name}
    head = missing - backbone
    ignored = {name for name in _not_taken(unexpected) if not (layers is not None and ".layer" in name)}
    trained = any("SequenceClassification" in name for name in config.get("architectures") or ())
    if backbone or (head and (trained or (ignored and not new_head))):
        found = backbone or head
        also = f", and holds {min(ignored)}, which the model does not take" if ignored else ""
        raise DataError(
            f"{source.name}: {len(found)} weights of the {kind} are not in the checkpoint, the first is "
            f"{min(found)}{also}; expected the complete weights of the model that config.json describes"
        )
    if head and not new_head:
        raise UsageError(
            f"{source.name}: is a {kind} without a scoring head ({min(head)} is not in the checkpoint); expected a "
            "cross-encoder: train one with `limbeck train`"
        )
    if ignored and not (new_head and head and not _scores(ignored)):
        raise _left_over(ignored, kind, source)


def expect_texts_weights(model: Any, missing: set[str], unexpected: set[str], source: ModelSource) -> None:
    """A model that reads texts one by one has all of its weights, and no others but heads and poolers.

    Warns of a scoring head. Raises UsageError where weights are missing, DataError where others would go unread.
    """
    # The pooler of BERT-like models is not used, and often not stored.
    absent = {name for name in missing if "pooler" not in name}
    if absent:
        raise UsageError(
            f"{source.name}: {len(absent)} weights of the {type(model).__name__} are not in the checkpoint, the first "
            f"is {min(absent)}; expected its complete weights"
        )
    ignored = _not_taken(unexpected)
    if head := {name for name in ignored if _scores({name})}:
        warnings.warn(
            f"{source.name} is a cross-encoder (it holds {min(head)}), which is trained to read query and passage "
            "together; each text is read alone here. A cross-encoder teaches with `limbeck teach ensemble`, and ranks "
            "with `limbeck rerank`",
            stacklevel=1,
        )
    if ignored - head:
        raise _left_over(ignored - head, model.config.model_type, source)


def _not_taken(unexpected: set[str]) -> set[str]:
    """Of weights that a model has no place for, those that mean something to what it computes."""
    unused = ("pooler.", "position_ids", "inv_freq")
    return {
        name for name in unexpected if not name.startswith(_OTHER_HEADS) and not any(part in name for part in unused)
    }


def _left_over(ignored: set[str], kind: str, source: ModelSource) -> DataError:
    return DataError(
        f"{source.name}: the checkpoint holds {len(ignored)} weights that the {kind} of config.json does not take, "
        f"the first is {min(ignored)}; its scores would be other ones. Expected the weights of that model alone"
    )


def expect_numbers(model: Any, source: ModelSource) -> None:
    """DataError for weights with NaN or infinity: every score would be NaN, or wrong."""
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            count = int((~weight.isfinite()).sum())
            raise DataError(
                f"{source.name}: {count:,} of the {weight.numel():,} numbers of {name} are NaN or infinite; expected "
                "finite weights: the training that made them diverged, or the file is damaged"
            )


def _scores(names: set[str]) -> bool:
    """Whether weights outside of a backbone are a scoring head's by their names."""
    return any(name.split(".")[0] in ("score", "scorer", "classifier", "classification_head") for name in names)


def expect_rows(model: Any, tokenizer: Any, source: ModelSource) -> None:
    rows, tokens = model.get_input_embeddings().weight.shape[0], max(tokenizer.get_vocab().values(), default=0) + 1
    if tokens > rows:
        raise DataError(
            f"{source.name}: its tokeniser has {tokens} tokens, and its embedding {rows} rows; expected one for each: "
            "resize_token_embeddings was forgotten, or the tokeniser is another model's"
        )


def explained(error: Exception, source: ModelSource) -> LimbeckError:
    if source.kind != "hub":
        if not source.weights:
            return MissingError(f"{source.name}: no weights in this folder; expected model.safetensors")
        return DataError(f"{source.name}: this checkpoint cannot be read ({reason(error, source)})")
    if "local_files_only" in source.options():
        pinned = f" --revision {source.revision}" if source.revision else ""
        return MissingError(
            f"{source.name}: no folder of that name, not in the local cache, and the Hub cannot be reached; go online, "
            f"or on a machine that is: hf download {source.path}{pinned}"
        )
    return MissingError(f"{source.name}: cannot be loaded from the Hub ({reason(error, source)})")


def reason(error: Exception, source: ModelSource) -> str:
    """What is wrong with a checkpoint's files, in a line, where transformers raised `error`."""
    if pointer := source.pointer():
        return f"{pointer} is Git LFS's note of where the file is, and not the file; get it: git lfs pull"
    text = str(error).strip()
    if "weights_only" in text:
        # torch advises to switch its guard off, which would run whatever the file says.
        return "its weights are damaged, or code besides tensors, which is never run; expected model.safetensors"
    if "ignore_mismatched_sizes" in text:
        return "its weights have other shapes than config.json states (vocab_size, hidden_size, num_labels, …)"
    first, *further = text.splitlines() or [type(error).__name__]
    if first.endswith(":") and further:
        first += f" {further[0].strip()}"
    return f"unknown or missing: {first}" if isinstance(error, KeyError) else first
