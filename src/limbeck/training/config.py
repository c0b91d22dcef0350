"""What a user says of a training: each setting declared once. `limbeck train` and study files derive from it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Lt

from limbeck.core.errors import UsageError
from limbeck.core.options import Amount, Count, Declared, Doc, Precision, Rate, Was, check_settings

MAX_LENGTH = 256
LISTS_PER_STEP = 8
LEARNING_RATE = 2e-5

ListOrder = Literal["shuffled", "file"]


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """The model that training starts from, and how it reads a pair."""

    model: Annotated[str, Doc("Folder, Hub id or package:NAME/PATH.")]
    layers: Annotated[Count | None, Doc("Number of transformer layers to keep, from the first.")] = None
    exits: Annotated[
        tuple[Count, ...],
        Doc("Number of layers behind which a head of its own is trained too, for a smaller model; once for each."),
    ] = ()
    max_length: Annotated[
        Annotated[int, Ge(8)] | None,
        Doc(
            f"Maximum length of a pair in tokens; the passage is cut (default: {MAX_LENGTH}; none with passage_tokens)."
        ),
    ] = None
    query_tokens: Annotated[Count, Doc("Maximum length of a query in tokens.")] = 64
    passage_tokens: Annotated[Count | None, Doc("Maximum length of a passage in tokens, whatever the query's.")] = None
    dropout: Annotated[
        Annotated[float, Ge(0), Lt(1)] | None, Doc("Dropout everywhere in the model (default: its configuration's).")
    ] = None
    single_separator: Annotated[
        bool, Doc("One separator between query and passage where the tokeniser has two (RoBERTa).")
    ] = False
    match_words: Annotated[
        bool, Doc("Give a BERT heads that match words as BM25 does, weighted by their idf in the collection.")
    ] = False
    sha256: Annotated[str | None, Doc("Refuse local weights whose SHA-256 does not begin with this.")] = None

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def pair_tokens(self) -> int | None:
        """The maximum length of a pair; None where it follows from those of query and passage."""
        return MAX_LENGTH if self.max_length is None and self.passage_tokens is None else self.max_length


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """One objective on one list source, for a number of optimiser steps given in one of three ways."""

    objective: Annotated[str, Doc('Such as BCE, "InfoNCE(temperature=0.5)" or "RankNet + 0.1*InfoNCE".')]
    lists: Annotated[str, Doc("Training lists (Parquet).")]
    steps: Annotated[Count | None, Doc("Number of optimiser steps.")] = None
    epochs: Annotated[Rate | None, Doc("Instead of steps: number of epochs.")] = None
    pairs: Annotated[Count | None, Doc("Instead of steps: number of query-passage pairs to train on.")] = None
    lists_per_step: Annotated[Count | None, Doc(f"Batch size in lists (default: {LISTS_PER_STEP}).")] = None
    learning_rate: Annotated[Rate | None, Doc(f"Peak learning rate (default: {LEARNING_RATE:g}).")] = None
    order: Annotated[ListOrder, Doc("Whether each epoch shuffles the lists or takes them as the file has them.")] = (
        "shuffled"
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the weights are optimised: AdamW, linear warm-up, a schedule, gradients clipped by their norm."""

    warmup: Annotated[Amount, Doc("Share of a stage's steps if below 1, else a number of steps.")] = 0.1
    schedule: Annotated[Literal["linear", "constant"], Doc("Decay to zero at a stage's end, or none.")] = "linear"
    clip: Annotated[Amount, Doc("Maximum gradient norm (0 = no clipping).")] = 1.0
    weight_decay: Annotated[Amount, Doc("AdamW's weight decay.")] = 0.0
    precision: Annotated[Precision, Doc("Number format of matrix products; weights stay fp32.")] = "fp32"
    token_budget: Annotated[
        Count | None,
        Doc("Most tokens of one micro-batch, padding included (default: by free memory on CUDA; 2048 on a CPU)."),
    ] = None
    max_tokens_without_grad_cache: Annotated[
        Count | None,
        Was("single_pass_tokens"),
        Doc(
            "Steps of at most so many tokens keep all graphs (faster, more memory), larger ones use gradient caching "
            "(default: by free memory on CUDA; 12288 on a CPU)."
        ),
    ] = None
    compiled: Annotated[
        bool | None,
        Doc("Compile the layers (torch.compile; default: on CUDA, where the training is long enough for it to pay)."),
    ] = None
    deterministic: Annotated[
        bool, Doc("Take only operations that give the same bytes each time: for CUDA, slower there; a CPU always does.")
    ] = False
    checkpoint_every: Annotated[Count, Doc("Steps between checkpoints.")] = 500

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """Held-out queries, re-ranked every so many steps; the checkpoint with the best mean over collections is kept."""

    measure: Annotated[str, Doc("Measure that chooses the checkpoint.")] = "nDCG@10"
    every: Annotated[Count, Doc("Steps between validations; the end of a stage is always validated.")] = 500
    depth: Annotated[Count, Doc("Candidates re-ranked for each query.")] = 100
    best_so_far: Annotated[
        bool, Doc("Mean over each collection's best value so far, which can only rise (arXiv 2603.03010's code).")
    ] = False

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class RecipeStage(StageSettings):
    """A stage of a recipe file."""

    sample: Annotated[
        str | dict[str, Any],
        Doc('Passages drawn from a list: "positives=1, negatives=7", "size=16", "depth=50" or all.'),
    ] = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        lengths = [name for name in ("steps", "epochs", "pairs") if getattr(self, name) is not None]
        if len(lengths) != 1:
            found = " and ".join(lengths) or "no length"
            raise UsageError(f"the stage has {found}; expected one of steps, epochs and pairs")


@dataclass(frozen=True, kw_only=True)
class RecipeValidation(ValidationSettings):
    """The validation of a recipe file."""

    collections: Annotated[tuple[str, ...], Doc("Collection with held-out queries; once for each.")] = ()
    runs: Annotated[tuple[str, ...], Doc("Run file with its candidates; once for each, in the same order.")] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.collections) != len(self.runs) or not self.collections:
            raise UsageError(
                f"validation has {len(self.collections)} collections and {len(self.runs)} runs; expected a run for each"
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole training, in names and numbers: what a file for `limbeck train --config` holds.

    Names of files and folders are relative to the folder of the file.
    """

    collection: Annotated[str, Doc("Texts of the lists.")]
    backbone: Annotated[Declared[Backbone], Doc("The model that training starts from.")]
    stages: Annotated[tuple[Declared[RecipeStage], ...], Doc("Trained one after another.")]
    optimizer: Annotated[Declared[Settings], Doc("How the weights are optimised.")] = Settings()
    validation: Annotated[Declared[RecipeValidation] | None, Doc("What chooses the checkpoint.")] = None
    seed: Annotated[int, Ge(0), Lt(2**32), Doc("Seed of the head, of sampling and of dropout.")] = 1

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.stages:
            raise UsageError("stages is empty, expected at least one")

    def relative_to(self, folder: Path) -> "Recipe":
        """The same recipe with the files and folders that it names found from `folder`."""

        from limbeck.collections.beir import is_collection_folder
        from limbeck.collections.load import without_suffixes

        def found(name: str) -> str:
            return str(folder / name) if (folder / name).exists() else name

        def collection(name: str) -> str:
            base = folder / without_suffixes(name)
            is_folder = base.is_dir() or is_collection_folder(base.parent)
            return str(folder / name) if is_folder and name.split("/")[0] != "demo" else name

        validation = self.validation
        if validation:
            collections, runs = map(collection, validation.collections), map(found, validation.runs)
            validation = replace(validation, collections=tuple(collections), runs=tuple(runs))
        return replace(
            self,
            collection=collection(self.collection),
            backbone=replace(self.backbone, model=found(self.backbone.model)),
            stages=tuple(replace(stage, lists=found(stage.lists)) for stage in self.stages),
            validation=validation,
        )
