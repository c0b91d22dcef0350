"""A study's results for tests, which write down as plain values what they are about, and change these at will."""

from typing import Any

from pydantic import TypeAdapter

from limbeck.study.analysis.results import StudyResults
from limbeck.training.summary import TrainingSummary

_STUDY = {
    "name": "study", "limbeck_version": "0.1.0", "created": "2026-03-14T09:26:53+00:00", "rehearsal": False,
    "margin": None, "output": "runs/study", "own_document": "remove", "facts": {}, "terms": {},
    "leaks": [], "seconds": 1.0, "teachers": [],
    "comparisons": [], "suite_comparisons": [], "pairwise": [], "over_backbones": [], "audit": [],
    "factors": {"absent": "no factor varies"}, "bounds": [], "other_first_stages": [], "warnings": [],
}  # fmt: skip
_FIRST_STAGE = {"description": "BM25", "suites": {}}
_COUNTS = {"queries": 60, "scored": 60, "missing": 0, "short": 0}
_STAGE = {"signal": "labels", "sample": "whole lists", "epochs": None, "lists_per_step": 4, "learning_rate": 1e-5}
_CELL = {"error": None, "training": None, "curve": [], "validation": [], "values": {}, "suites": {}}
_TRAINING = {
    "steps": 1, "best_step": 1, "best_value": None, "measure": None, "pairs": 8, "tokens": 80, "padding": 0.0,
    "cut_pairs": 0, "single_pass_steps": 0, "seconds": 1.0, "parameters": 1000, "layers": 1, "model": "model",
    "model_sha256": None, "precision": "fp32", "attention": "padded", "device": "cpu", "processes": 1, "seed": 1,
    "stages": [],
}  # fmt: skip
_ONE_SEED = "no recipe has a second seed, so what other seeds would change is not known"
_DIFFERENCE = {
    "measure": "nDCG@10", "randomisation_p": 1.0, "effect_size": None, "queries": 60, "wins": 0, "ties": 60,
    "losses": 0, "collections_ci": None, "differs": [], "seeds": [], "mean": 0.0, "std": 0.0, "first_stage": 0.0,
    "models": None, "recipes": None, "unknown": _ONE_SEED, "carried_by": [], "uneven": False,
}  # fmt: skip
_ANSWER = {
    "p": 1.0, "interval": [-1.0, 1.0], "error": 0.5, "df": 20.0, "detectable": None, "equivalence_p": None,
    "margin_power": None, "corrected_p": 1.0, "corrected_equivalence_p": None,
}  # fmt: skip
_AUDITED = {"factors": [], "objective_alone": False, "sentence": "They differ in something."}
_LEAKS = {"alike": 0.6}
_RESULTS = TypeAdapter(StudyResults)


def answers(models: float, recipes: float | None = None, **facts: Any) -> dict[str, Any]:
    """The answers of a row with these corrected p-values."""
    both = {"models": models, "recipes": recipes}
    return {name: None if p is None else {"p": p, "corrected_p": p, **facts} for name, p in both.items()}


def training(**facts: Any) -> TrainingSummary:
    """The summary of a training, some of it as given."""
    return TypeAdapter(TrainingSummary).validate_python({**_TRAINING, **facts})


def _difference(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose answers may be given in part."""
    answers = {name: {**_ANSWER, **row[name]} for name in ("models", "recipes") if row.get(name)}
    return {**_DIFFERENCE, **row, **answers}


def typed(given: dict[str, Any]) -> StudyResults:
    """Plain values as `StudyResults`; what a test is not about may be absent, and is filled in."""
    results = {**_STUDY, **given}
    first_stage = {**_FIRST_STAGE, **results["first_stage"]}
    names = [collection["name"] for collection in results["collections"]]
    first_stage["counts"] = {**dict.fromkeys(names, _COUNTS), **first_stage.get("counts", {})}
    results["first_stage"] = first_stage
    results["recipes"] = [
        {**recipe, "stages": [{**_STAGE, **stage} for stage in recipe["stages"]]} for recipe in results["recipes"]
    ]
    results["cells"] = [
        {**_CELL, **cell, "training": cell.get("training") and {**_TRAINING, **cell["training"]}}
        for cell in results["cells"]
    ]
    for kind in ("comparisons", "suite_comparisons", "pairwise", "over_backbones"):
        results[kind] = [_difference(row) for row in results[kind]]
    results["audit"] = [{**_AUDITED, **pair} for pair in results["audit"]]
    results["leaks"] = [
        {**leak, **{part: {**_LEAKS, **leak[part]} for part in ("queries", "documents")}} for leak in results["leaks"]
    ]
    return _RESULTS.validate_python(results)
