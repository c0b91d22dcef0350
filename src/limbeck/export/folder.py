"""The folder of an exported model: weights, tokeniser, card, and ONNX files with their drift; and publishing it."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.environment import unnamed
from limbeck.core.errors import DataError, LimbeckError, MissingError, UsageError
from limbeck.core.files import replace_folder, temporary_folder, wrap_write_errors, write_json, write_text
from limbeck.evaluation import rerank
from limbeck.export.card import CardFacts, measured, model_card
from limbeck.export.onnx import FP32, INT8, Drift, drift, onnx_encoder, require_onnx, write_onnx
from limbeck.export.origin import Origin
from limbeck.models.checkpoint import expect_replaceable
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import Run

LARGEST_DRIFT = 1e-3
"""Of a score in fp32: what is beyond it is no rounding."""
FACTS = "limbeck.json"


@dataclass(frozen=True)
class Candidates:
    """Real pairs: the first `depth` candidates of a run's queries."""

    collection: Collection
    run: Run
    depth: int


def export(
    origin: Origin,
    output: Path,
    stated: CardFacts,
    onnx: Candidates | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Write a model as a folder that is ready for the Hub; it is there complete or not at all.

    Args:
        output: a new or empty folder, or one with an older model, which is replaced.
        stated: what only the user knows, for the card.
        onnx: also write ONNX files, and compare their scores with the model's own on these pairs.

    Returns:
        `output`, `files` (name → bytes), `chosen` and `drift` (ONNX file → `Drift` as a mapping).

    Raises:
        UsageError: `output` holds something else, or the model that is exported.
        MissingError: the model is not there, or the extra `export`, or the folder cannot be written.
        DataError: ONNX cannot be written of such a model, or does not compute what it computes.
    """
    place = output.resolve()
    if place == Path(origin.model).resolve():
        raise UsageError(f"{output}: is the model itself; expected another folder")
    expect_replaceable(output)
    if onnx:
        require_onnx()
    encoder = CrossEncoder.load(origin.model, device="cpu")
    results = measured(origin)
    with wrap_write_errors(place), temporary_folder(place) as aside:
        encoder.save(aside)
        drifts = _with_onnx(encoder, aside, onnx, console) if onnx else {}
        facts = {
            "chosen": origin.chosen,
            "training": {**origin.summary, "model": origin.backbone},
            "plan": origin.plan,
            "results": [asdict(result) for result in results],
            "drift": {file: asdict(found) for file, found in drifts.items()},
        }
        write_json(aside / FACTS, unnamed(facts))
        of = onnx.collection.name if onnx else ""
        write_text(
            aside / "README.md",
            model_card(
                origin,
                encoder,
                stated=stated,
                results=results,
                drifts=drifts,
                sizes=_sizes(aside),
                drift_collection=of,
                name=place.name,
            ),
        )
        files = _sizes(aside)
        replace_folder(aside, place)
    return {"output": str(output), "chosen": origin.chosen, "files": files, "drift": facts["drift"]}


def _with_onnx(encoder: CrossEncoder, folder: Path, onnx: Candidates, console: Console | None) -> Mapping[str, Drift]:
    """Write the ONNX files into a model's folder and compare them with the model."""
    if console:
        console.print("write ONNX in fp32 and 8 bits", highlight=False)
    write_onnx(folder)

    def ranked(scorer: CrossEncoder, name: str) -> Run:
        return rerank(scorer, onnx.collection, onnx.run, onnx.depth, name=name, console=console)

    own = ranked(encoder, "torch")
    drifts = {
        file: drift(own, ranked(onnx_encoder(encoder, folder / file), file), onnx.collection) for file in (FP32, INT8)
    }
    if drifts[FP32].largest > LARGEST_DRIFT * max(1.0, drifts[FP32].spread):
        raise DataError(
            f"the ONNX file of this {encoder.model.config.model_type} does not compute what the model does: scores "
            f"differ by up to {drifts[FP32].largest:.3g} on {onnx.collection.name}; export it without --onnx"
        )
    return drifts


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


TOKEN = "HF_TOKEN"
NEEDED = ("config.json", "README.md")


@dataclass(frozen=True)
class Upload:
    """What would be published: `files` is path in the repository → bytes."""

    folder: Path
    repo: str
    private: bool
    files: dict[str, int]

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(self.files.values())


def plan_upload(folder: Path, repo: str, private: bool) -> Upload:
    """What publishing an exported folder would upload: all its files but hidden ones. Nothing is sent.

    Raises MissingError for a folder that `limbeck export` did not write, UsageError for an impossible repository.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # not in its stubs

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageError(f"{repo}: no repository's name: {error}") from None
    if "/" not in repo:
        raise UsageError(f"{repo}: whose repository? Expected OWNER/NAME")
    absent = [name for name in NEEDED if not (folder / name).is_file()]
    if absent or not list(folder.glob("model*.safetensors")):
        raise MissingError(
            f"{folder}: lacks {' and '.join(absent) or 'model.safetensors'}; expected the --output of `limbeck export`"
        )
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    shown = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    return Upload(folder, repo, private, {path.as_posix(): (folder / path).stat().st_size for path in shown})


def push(upload: Upload) -> str:
    """Make the repository where there is none and upload all files in one commit; the commit's address.

    The token is taken from the environment's HF_TOKEN alone, and the Hub's address from HF_ENDPOINT where that is set.
    A repository that is there keeps its visibility.

    Raises:
        MissingError: no token, or the Hub cannot be reached or refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    token = os.environ.get(TOKEN)
    if not token:
        raise MissingError(f"no token: set {TOKEN} to one that may write to {upload.repo}")
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token)
    operations = [CommitOperationAdd(path, upload.folder / path) for path in upload.files]
    try:
        api.create_repo(upload.repo, private=upload.private, exist_ok=True)
        done = api.create_commit(upload.repo, operations, commit_message="Model exported by limbeck")
    except LimbeckError:
        raise
    except Exception as error:
        # HTTP libraries, the Hub's own errors and the uploading library's (Rust) have no common class.
        text = str(error).strip().replace(token, "…") or type(error).__name__
        raise MissingError(f"{upload.repo}: not published: {' '.join(text.split())}") from None
    return done.commit_url
