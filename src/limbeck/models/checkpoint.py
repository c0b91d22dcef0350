"""A cross-encoder on disk: a plain transformers sequence-classification checkpoint with one raw logit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from limbeck.core.errors import DataError, LimbeckError, MissingError, UsageError
from limbeck.core.files import replace_folder, sync, temporary_folder, wrap_write_errors, write_json
from limbeck.models.adapters import base_of, merge, read_adapter, without_adapter
from limbeck.models.checkpoint_faults import (
    expect_layers,
    expect_numbers,
    expect_one_score,
    expect_rows,
    expect_saved,
    expect_texts_weights,
    expect_vocabulary,
    expect_weights,
    explained,
    reason,
    refuse_adapter,
    refuse_remote_code,
)
from limbeck.models.families import FAMILIES, Family, family_of
from limbeck.models.modular import ModularModel, read_head, read_modular_layout, transformer_module, write_modular
from limbeck.models.sentence_transformers import read_mapping, read_text_settings
from limbeck.models.sources import ModelSource, expect_lower_casing, silence_transformers
from limbeck.tokens.pairs import PairTemplate, with_single_separator
from limbeck.tokens.store import UNCHANGED, Wording

IDENTITY = "torch.nn.modules.linear.Identity"
SIGMOID = "torch.nn.modules.activation.Sigmoid"
"""What sentence-transformers does with a raw score; a calibrated model's is the log-odds of a probability."""
SCORING_TRANSFORMER: dict[str, Any] = {
    "transformer_task": "sequence-classification",
    "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
    "module_output_name": "scores",
}
"""What sentence-transformers wants to know of a transformer with its own head, where there is a list of modules."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        model: the scoring model, in float32.
        wording: what is done to texts before they are tokenised.
        max_length: longest pair as sentence-transformers' settings have it; None where they say nothing.
        pads: whether padding may stand beside a pair: not where any token that could be padding means something.
    """

    model: Any
    tokenizer: Any
    template: PairTemplate
    wording: Wording
    max_length: int | None
    pads: bool

    @property
    def saved(self) -> Mapping[str, Any]:
        """What limbeck keeps in config.json."""
        kept = getattr(self.model.config, "limbeck", None) or {}
        return {name: value for name, value in kept.items() if value is not None}


def read_checkpoint(
    source: ModelSource,
    layers: int | None = None,
    seed: int = 0,
    dropout: float | None = None,
    new_head: bool = False,
    single_separator: bool = False,
) -> Checkpoint:
    """Read a cross-encoder, or with `new_head` a backbone too, whose scoring head is then drawn from `seed`.

    Which weights are missing, and which were not taken, decides; not the names of classes. sentence-transformers'
    modules and prompts are read (`limbeck.models.modular`), and LoRA adapters are merged (`limbeck.models.adapters`).

    Raises:
        MissingError: the model, its weights or its tokeniser is not there.
        DataError: the checkpoint cannot be read, lacks weights, or holds weights that the model does not take.
        UsageError: it has no scoring head, needs remote code, has fewer than `layers` layers or a head of several
            values.
    """
    layout, adapter = read_modular_layout(source, new_head), read_adapter(source)
    base = source
    if adapter is not None and source.file("config.json") is None:
        base = base_of(adapter, source)
    with silence_transformers(), torch.random.fork_rng(devices=[]), without_adapter(base, adapter) as place:
        # Not `torch.manual_seed`, which also seeds every accelerator; a head is drawn on the CPU.
        torch.default_generator.manual_seed(seed)
        try:
            config, raw = _read_config(base, place, layers, dropout, modular=layout is not None)
            tokenizer = _read_tokenizer(source if source.file("tokenizer_config.json") else base)
            if single_separator:
                tokenizer = with_single_separator(tokenizer)
            template = PairTemplate.of(tokenizer)
            pads = _settle_padding(config, tokenizer, template, source)
            template = replace(template, pad_id=tokenizer.pad_token_id or 0)
            model, loading = _load(base, place, config, layout is not None)
            if layout is not None:
                model.pooler = None  # which AutoModel adds to some, and nothing here reads
                model = ModularModel(model, read_head(source, layout), layout)
        except LimbeckError:
            raise
        except Exception as error:
            # What transformers raises for unreadable files has no common class (safetensors has its own).
            raise explained(error, base) from None
    from_adapter = set(adapter.whole) if adapter else set()
    missing = {name for name in loading["missing_keys"] if not (layout and "pooler." in name)} - from_adapter
    expect_weights(model, missing, set(loading["unexpected_keys"]), raw, source, layers, new_head)
    if adapter is not None:
        merge(model, adapter, source)
    expect_rows(model, tokenizer, source)
    expect_numbers(model, source)
    expect_saved(model.config, source)
    pads = pads or bool(family_of(model).ignores_padding)
    if not pads:
        model.config.pad_token_id = -1  # no token is taken for padding
    texts = read_text_settings(source)
    # An embedding model's limit is of one text, not of a pair; whoever trains says how long pairs are.
    max_length = None if new_head else texts.max_length
    return Checkpoint(model, tokenizer, template, _wording(source, texts.lower_case), max_length, pads)


def write_checkpoint(
    model: Any,
    tokenizer: Any,
    max_length: int,
    facts: Mapping[str, Any],
    path: Path,
    weights: Mapping[str, torch.Tensor] | None = None,
    wording: Wording = UNCHANGED,
) -> None:
    """Write a folder that transformers and sentence-transformers load unchanged.

    sentence-transformers' score is the raw logit, or with a "calibration" among the facts its sigmoid.

    A model that was read from sentence-transformers' modules is written as such, for it alone.

    Written aside and renamed: an older checkpoint of that name is whole until the new one is. UsageError if `path` is
    something else than a checkpoint or an empty folder, which would be lost; MissingError if it cannot be written.
    `facts`: limbeck's own, such as the lengths of query and passage, kept in config.json; `weights`: the model's own by
    default.
    """
    place = path.resolve()
    expect_replaceable(path)
    activation = SIGMOID if facts.get("calibration") else IDENTITY
    model.config.sentence_transformers = {"activation_fn": activation}
    model.config.limbeck = dict(facts)
    if model.config.pad_token_id == -1:
        model.config.pad_token_id = None
    tokenizer.model_max_length = max_length
    modular = isinstance(model, ModularModel)
    with silence_transformers(), wrap_write_errors(place), temporary_folder(place) as aside:
        if modular:
            write_modular(model, aside, weights)
        else:
            model.save_pretrained(aside, state_dict=weights)
        tokenizer.save_pretrained(aside)
        if modular or wording != UNCHANGED:
            prompts = {"prompts": {"query": wording.prompt}, "default_prompt_name": "query"} if wording.prompt else {}
            own = {"model_type": "CrossEncoder", "activation_fn": activation, **prompts}
            write_json(aside / "config_sentence_transformers.json", own)
        if not modular and wording != UNCHANGED:
            write_json(aside / "modules.json", [transformer_module()])
            settings = {**SCORING_TRANSFORMER, "max_seq_length": max_length, "do_lower_case": wording.lower_case}
            write_json(aside / "sentence_bert_config.json", settings)
        sync(aside)
        replace_folder(aside, place)


def expect_replaceable(path: Path) -> None:
    """Raise UsageError where `path` is something else than a checkpoint or an empty folder, which would be lost."""
    place = path.resolve()
    if place.exists() and not (place / "config.json").is_file() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(f"{path}: is not a model that could be replaced; expected a new or empty folder, or a model's")


def read_text_transformer(source: ModelSource, auto_class: str) -> tuple[Any, Any]:
    """A model that reads texts one by one, in float32, as a class of transformers makes it; and its tokeniser.

    Args:
        auto_class: such as AutoModel or AutoModelForMaskedLM.

    Raises:
        MissingError: the model, its weights or its tokeniser is not there; the text says how to get it.
        DataError: the checkpoint cannot be read, or holds weights that the model does not take.
        UsageError: it is another kind of model, has an adapter, or needs code of its own.
    """
    import transformers

    refuse_adapter(source)
    # A pooler that the checkpoint lacks is initialised at random.
    with silence_transformers(), torch.random.fork_rng(devices=[]):
        try:
            raw, _ = transformers.PreTrainedConfig.get_config_dict(source.path, **source.options())
            refuse_remote_code(raw, source)
            expect_layers(raw, source)
            tokenizer = _read_tokenizer(source)
            model, loading = getattr(transformers, auto_class).from_pretrained(
                source.path, dtype=torch.float32, trust_remote_code=False, output_loading_info=True, **source.options()
            )
        except LimbeckError:
            raise
        except Exception as error:  # of no common class, as above
            raise explained(error, source) from None
    expect_texts_weights(model, set(loading["missing_keys"]), set(loading["unexpected_keys"]), source)
    expect_rows(model, tokenizer, source)
    expect_numbers(model, source)
    return model, tokenizer


def _read_config(
    source: ModelSource, place: str, layers: int | None, dropout: float | None, modular: bool
) -> tuple[Any, dict[str, Any]]:
    """The configuration as it is to be used, and as it was written."""
    from transformers import AutoConfig, PreTrainedConfig

    options = source.options() if place == source.path else {}
    raw, _ = PreTrainedConfig.get_config_dict(place, **options)
    refuse_remote_code(raw, source)
    expect_layers(raw, source)
    config = AutoConfig.from_pretrained(place, trust_remote_code=False, **options)
    if not modular:
        expect_one_score(config, source)
    keep_layers(config, layers, source)
    _set_dropout(config, dropout)
    return config, raw


def _load(source: ModelSource, place: str, config: Any, modular: bool) -> tuple[Any, dict[str, Any]]:
    from transformers import AutoModel, AutoModelForSequenceClassification

    auto: Any = AutoModel if modular else AutoModelForSequenceClassification
    options = source.options() if place == source.path else {}
    loaded: tuple[Any, dict[str, Any]] = auto.from_pretrained(
        place, config=config, dtype=torch.float32, trust_remote_code=False, output_loading_info=True, **options
    )
    return loaded


def keep_layers(config: Any, layers: int | None, source: ModelSource) -> None:
    """Let a configuration be that of its first layers alone; None leaves it as it is. UsageError if it has fewer."""
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


def _read_tokenizer(source: ModelSource) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source.path, trust_remote_code=False, **source.options())
    except Exception as error:
        # As above: no common class, and a tokeniser written in Python raises what it likes.
        raise MissingError(f"{source.name}: no tokeniser that can be loaded ({reason(error, source)})") from None
    expect_vocabulary(tokenizer, source)
    if not tokenizer.is_fast:
        raise UsageError(
            f"{source.name}: its tokeniser {type(tokenizer).__name__} is written in Python; expected one of the "
            "tokenizers library (a tokenizer.json)"
        )
    limit = tokenizer.model_max_length
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 1:
        raise DataError(
            f"{source.name}: tokenizer_config.json has model_max_length {limit}; expected the tokens of the longest "
            "text, 1 or more: mend it, or take it out of a local copy"
        )
    expect_lower_casing(source.name, tokenizer)
    return tokenizer


def _settle_padding(config: Any, tokenizer: Any, template: PairTemplate, source: ModelSource) -> bool:
    """Give model and tokeniser a padding token where one of them has none; whether it cannot be mistaken for another.

    Some heads read the last token that is no padding, so that a token which ends a pair must not become it.
    """
    used = {*template.prefix, *template.middle, *template.suffix}
    if tokenizer.pad_token_id is None and tokenizer.all_special_ids:
        special = sorted(tokenizer.all_special_ids, key=lambda number: (number in used, number != config.pad_token_id))
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(special[0])
    if config.pad_token_id is not None:
        return True
    if FAMILIES.get(config.model_type, Family()).positions_after_padding and tokenizer.pad_token_id in used:
        raise DataError(
            f"{source.name}: neither config.json nor the tokeniser has a padding token, from which a "
            f"{config.model_type} counts positions; expected pad_token_id in config.json"
        )
    config.pad_token_id = 0 if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    return config.pad_token_id not in used and tokenizer.pad_token_id is not None


def _wording(source: ModelSource, lower_case: bool) -> Wording:
    """sentence-transformers' cross-encoders put their default prompt before the query."""
    config = read_mapping(source, "config_sentence_transformers.json")
    if config.get("model_type") != "CrossEncoder" or source.file("modules.json") is None:
        return UNCHANGED  # without a list of modules they look at no settings of their own
    prompts = config.get("prompts") or {}
    return Wording(str(prompts.get(config.get("default_prompt_name")) or ""), lower_case)
