"""The folder of an exported model: weights, tokeniser, card, and ONNX files with their drift."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.environment import unnamed
from limbeck.core.errors import DataError, UsageError
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
