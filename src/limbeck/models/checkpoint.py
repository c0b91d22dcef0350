"""A cross-encoder on disk: a plain transformers sequence-classification checkpoint with one raw logit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from limbeck.core.errors import DataError, LimbeckError, MissingError, UsageError
from limbeck.core.files import replace_folder, sync, temporary_folder, wrap_write_errors
from limbeck.models.sources import ModelSource, expect_lower_casing, silence_transformers

IDENTITY = "torch.nn.modules.linear.Identity"  # where sentence-transformers looks for the activation of raw scores
_REMOTE_CLASSES = {"AutoConfig", "AutoModel", "AutoModelForSequenceClassification"}


def read_checkpoint(
    source: ModelSource, layers: int | None, seed: int, dropout: float | None = None
) -> tuple[Any, Any]:
    """The model, in float32, and the tokeniser of a checkpoint; a scoring head that it lacks is drawn from `seed`.

    Raises:
        MissingError: the model, its weights or its tokeniser is not there.
        DataError: the checkpoint cannot be read, or lacks weights of the backbone.
        UsageError: it needs remote code, has fewer than `layers` layers or a head of several values.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedConfig

    options = source.options()
    with silence_transformers(), torch.random.fork_rng(devices=[]):
        # Not `torch.manual_seed`, which also seeds every accelerator; a head is drawn on the CPU.
        torch.default_generator.manual_seed(seed)
        try:
            raw, _ = PreTrainedConfig.get_config_dict(source.path, **options)
            _refuse_remote_code(raw, source)
            config = AutoConfig.from_pretrained(source.path, trust_remote_code=False, **options)
            _expect_one_score(config, source)
            _keep_layers(config, layers, source)
            _set_dropout(config, dropout)
            tokenizer = _read_tokenizer(AutoTokenizer, source, options)
            _settle_padding(config, tokenizer)
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                source.path,
                config=config,
                dtype=torch.float32,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
        except LimbeckError:
            raise
        except Exception as error:
            # What transformers raises for unreadable files has no common class (safetensors has its own).
            raise _explained(error, source) from None
    _expect_weights(model, loading["missing_keys"], raw, source)
    return model, tokenizer


def write_checkpoint(
    model: Any,
    tokenizer: Any,
    max_length: int,
    lengths: Mapping[str, int],
    path: Path,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write a folder that transformers and sentence-transformers load unchanged, with the raw logit as score.

    Written aside and renamed: an older checkpoint of that name is whole until the new one is. UsageError if `path` is
    something else than a checkpoint or an empty folder, which would be lost; MissingError if it cannot be written.
    `lengths`: of query and passage, kept in config.json; `weights`: the model's own by default.
    """
    place = path.resolve()
    expect_replaceable(path)
    model.config.sentence_transformers = {"activation_fn": IDENTITY}
    model.config.limbeck = dict(lengths)
    tokenizer.model_max_length = max_length
    with silence_transformers(), wrap_write_errors(place), temporary_folder(place) as aside:
        model.save_pretrained(aside, state_dict=weights)
        tokenizer.save_pretrained(aside)
        sync(aside)
        replace_folder(aside, place)


def expect_replaceable(path: Path) -> None:
    """Raise UsageError where `path` is something else than a checkpoint or an empty folder, which would be lost."""
    place = path.resolve()
    if place.exists() and not (place / "config.json").is_file() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(f"{path}: is not a model that could be replaced; expected a new or empty folder, or a model's")


def longest_input(model: Any, tokenizer: Any) -> int:
    """Tokens that a model has positions for; where it knows no limit, the tokeniser's."""
    positions = getattr(model.config, "max_position_embeddings", None)
    if not positions:
        return int(tokenizer.model_max_length)
    return int(positions - first_position(model))


def first_position(model: Any) -> int:
    """Position of a sequence's first token: RoBERTa and MPNet count from behind the padding's."""
    padding = getattr(getattr(model.base_model, "embeddings", None), "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def _refuse_remote_code(config: dict[str, Any], source: ModelSource) -> None:
    remote = sorted(_REMOTE_CLASSES & set(config.get("auto_map") or ()))
    if remote:
        raise UsageError(
            f"{source.name}: its config.json names code of its own for {', '.join(remote)} (auto_map). limbeck runs no "
            "code that comes with a model: it could do anything on this machine, and transformers' own class of the "
            "same type may compute something else. Choose another model; if transformers has this architecture built "
            "in, take auto_map out of a local copy's config.json and compare scores"
        )


def _expect_one_score(config: Any, source: ModelSource) -> None:
    classifier = any("SequenceClassification" in name for name in config.architectures or ())
    if classifier and config.num_labels != 1:
        raise UsageError(
            f"{source.name}: its head gives {config.num_labels} values, a re-ranker needs 1; expected a backbone "
            "without a head or a cross-encoder with num_labels = 1"
        )
    config.num_labels = 1


def _keep_layers(config: Any, layers: int | None, source: ModelSource) -> None:
    if layers is None:
        return
    if not 1 <= layers <= config.num_hidden_layers:
        raise UsageError(f"{source.name}: layers = {layers}, expected 1 to {config.num_hidden_layers}")
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = config.layer_types[:layers]


def _set_dropout(config: Any, dropout: float | None) -> None:
    """Give all of a configuration's shares of dropped activations one value; None leaves them as they are."""
    for name in vars(config) if dropout is not None else ():
        value = getattr(config, name)
        # By their names: hidden_dropout_prob, attention_dropout, classifier_dropout (None: as the hidden one), …
        if "dropout" in name and (value is None or isinstance(value, float | int)):
            setattr(config, name, dropout)


def _read_tokenizer(auto_tokenizer: Any, source: ModelSource, options: dict[str, Any]) -> Any:
    try:
        tokenizer = auto_tokenizer.from_pretrained(source.path, trust_remote_code=False, **options)
    except Exception as error:
        # As above: no common class, and a tokeniser written in Python raises what it likes.
        raise MissingError(f"{source.name}: no tokeniser that can be loaded ({_first_line(error)})") from None
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # transformers makes one up, of nothing but special tokens, where the files are absent.
        raise MissingError(f"{source.name}: no tokeniser beside the weights; expected tokenizer.json or its vocabulary")
    if not tokenizer.is_fast:
        raise UsageError(
            f"{source.name}: its tokeniser {type(tokenizer).__name__} is written in Python; expected one of the "
            "tokenizers library (a tokenizer.json)"
        )
    expect_lower_casing(source.name, tokenizer)
    return tokenizer


def _settle_padding(config: Any, tokenizer: Any) -> None:
    """Give model and tokeniser a padding token where one of them has none; which one matters not, it is masked."""
    if tokenizer.pad_token_id is None and tokenizer.all_special_ids:
        special = tokenizer.all_special_ids
        number = config.pad_token_id if config.pad_token_id in special else special[0]
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(number)
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id or 0


def _expect_weights(model: Any, missing: set[str], config: dict[str, Any], source: ModelSource) -> None:
    """A new head is normal for a backbone; anything else that was drawn at random would be a ruined model."""
    if not any("SequenceClassification" in name for name in config.get("architectures") or ()):
        backbone = model.base_model_prefix + "."
        missing = {name for name in missing if name.startswith(backbone) and ".pooler." not in name}
    if missing:
        raise DataError(
            f"{source.name}: {len(missing)} weights of the {model.config.model_type} are not in the checkpoint, the "
            f"first is {min(missing)}; expected the complete weights of the model that config.json describes"
        )


def _explained(error: Exception, source: ModelSource) -> LimbeckError:
    if source.kind != "hub":
        if not source.weights:
            return MissingError(f"{source.name}: no weights in this folder; expected model.safetensors")
        return DataError(f"{source.name}: this checkpoint cannot be read ({_first_line(error)})")
    if "local_files_only" in source.options():
        pinned = f" --revision {source.revision}" if source.revision else ""
        return MissingError(
            f"{source.name}: no folder of that name, not in the local cache, and the Hub cannot be reached; go online, "
            f"or on a machine that is: hf download {source.path}{pinned}"
        )
    return MissingError(f"{source.name}: cannot be loaded from the Hub ({_first_line(error)})")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
