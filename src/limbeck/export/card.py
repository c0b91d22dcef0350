"""The model card: what the model is, how it came about, what it was measured at and where its limits are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from limbeck import __version__
from limbeck.core.environment import unnamed
from limbeck.evaluation import bootstrap_interval, compare
from limbeck.export.onnx import Drift
from limbeck.export.origin import Origin, dataset, public_name
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.report.formats import one_line
from limbeck.study.run.index import read_invocations
from limbeck.study.run.store import read_json


@dataclass(frozen=True)
class Result:
    """One measure on one test collection; means over its `queries`.

    Attributes:
        interval: 95 % bootstrap interval of the mean, over queries: the model is this one, no seed is drawn.
        first_stage: the mean of the candidates as they came.
        difference, difference_interval: to the first stage, paired by query.
    """

    collection: str
    measure: str
    queries: int
    value: float
    interval: tuple[float, float]
    first_stage: float
    difference: float
    difference_interval: tuple[float, float]


def measured(origin: Origin) -> list[Result]:
    """The results of a study's model, by test collection and measure; none for a model of no study."""
    store, index = origin.study, origin.index
    if store is None:
        return []
    found = []
    for collection, key in origin.cell["evaluations"].items():
        own = read_json(store.evaluation(origin.cell["id"], key) / "values.json")["values"]
        first_key = index["first_stage"]["evaluations"][collection]
        first = read_json(store.evaluation(None, first_key) / "values.json")["values"]
        for measure in index["measures"]:
            values = own[measure]
            paired = compare(values, first[measure])
            found.append(
                Result(
                    collection=public_name(collection),
                    measure=measure,
                    queries=len(values),
                    value=sum(values.values()) / len(values),
                    interval=bootstrap_interval(list(values.values())),
                    first_stage=sum(first[measure].values()) / len(values),
                    difference=paired.difference,
                    difference_interval=(paired.models and paired.models.interval)
                    or (paired.difference, paired.difference),
                )
            )
    return found


TERMS = {
    "msmarco-": "MS MARCO is for non-commercial research only",
    "demo": "limbeck's own demo collection is in the public domain (CC0 1.0)",
}
"""A collection's name without split, or its beginning up to a hyphen → its terms, where limbeck knows them."""
UNKNOWN = "unknown"

_ENVIRONMENT = Environment(
    loader=PackageLoader("limbeck.export"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True)
class CardFacts:
    """What only whoever exports a model knows of it.

    Attributes:
        license: of the model, as the Hub spells it, such as `apache-2.0`.
        languages: as ISO 639-1 codes.
        base_model: the Hub id of the backbone, where it was loaded under another name.
        datasets: Hub ids of what it was trained on; default: the study's training collections.
        data_license: the terms of these, in words.
    """

    license: str | None = None
    languages: Sequence[str] = ()
    base_model: str | None = None
    datasets: Sequence[str] = ()
    data_license: str | None = None


def model_card(
    origin: Origin,
    encoder: CrossEncoder,
    stated: CardFacts,
    results: Sequence[Result],
    drifts: Mapping[str, Drift],
    sizes: Mapping[str, int],
    drift_collection: str,
    name: str,
) -> str:
    """The card as Markdown, with the Hub's metadata in front; no path or name of a person is in it.

    Args:
        sizes: file → bytes, of the folder that the card is for.
        drift_collection: whose pairs the drifts were measured on.
        name: of the model.
    """
    base = stated.base_model or _hub_id(origin)
    trained_on = [public_name(one["name"]) for one in origin.index.get("training") or ()]
    datasets = list(stated.datasets) or list(dict.fromkeys(map(dataset, trained_on)))
    header = ModelCardData(
        language=list(stated.languages) or None,
        license=stated.license or UNKNOWN,
        library_name="sentence-transformers",
        pipeline_tag="text-ranking",
        tags=["cross-encoder", "reranker", "limbeck"],
        base_model=base,
        datasets=datasets or None,
        metrics=list(dict.fromkeys(result.measure.lower() for result in results)) or None,
        model_name=name if results else None,
        eval_results=[_eval_result(result) for result in results] or None,
    )
    body = _ENVIRONMENT.get_template("card.md.j2").render(
        _in_words(
            name=name,
            chosen=origin.chosen,
            base=base,
            model=encoder.model.config.model_type,
            layers=encoder.model.config.num_hidden_layers,
            parameters=encoder.parameters,
            max_length=encoder.max_length,
            query_tokens=encoder.query_tokens,
            calibration=_public_calibration(encoder),
            backbone=origin.backbone,
            summary=origin.summary,
            stages=_stages(origin),
            settings=origin.plan.get("settings"),
            seed=origin.plan.get("seed"),
            cell=origin.cell.get("id"),
            study=origin.index.get("name"),
            first_stage=origin.index.get("first_stage"),
            hardware=_hardware(origin),
            results=[_row(result) for result in results],
            drifts=[
                # Weights of a large model lie beside the graph.
                {"file": file, "size": sizes[file] + sizes.get(f"{file}.data", 0), "found": found}
                for file, found in drifts.items()
            ],
            weights=sizes.get("model.safetensors"),
            drift_collection=public_name(drift_collection),
            license=stated.license,
            languages=", ".join(stated.languages),
            trained_on=trained_on,
            terms=stated.data_license or terms_of_use([one["name"] for one in origin.index.get("training") or ()]),
            version=__version__,
        )
    )
    return f"---\n{header.to_yaml()}\n---\n\n{body.rstrip()}\n"


def _public_calibration(encoder: CrossEncoder) -> dict[str, Any] | None:
    if not encoder.calibration:
        return None
    return {**encoder.calibration, "collection": public_name(encoder.calibration["collection"])}


def _in_words(**facts: Any) -> dict[str, Any]:
    """Facts for the template: no names of people, and nothing that would end a table's cell."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return one_line(unnamed(value)).replace("|", "\\|") if isinstance(value, str) else value

    return {name: plain(value) for name, value in facts.items()}


def _hub_id(origin: Origin) -> str | None:
    """The backbone's Hub id, if it was loaded under it."""
    name = origin.summary.get("model")
    return name if name and origin.summary.get("model_sha256") is None else None


def _stages(origin: Origin) -> list[dict[str, Any]]:
    """Each stage's plan beside what its training counted, and the lists' name where a study gives it."""
    planned, counted = origin.plan.get("stages", []), origin.summary.get("stages", [])
    named = next((r["stages"] for r in origin.index.get("recipes", ()) if r["name"] == origin.cell["recipe"]), planned)
    return [
        {**plan, **done, "source": f"lists {stage['lists']}"}
        for plan, done, stage in zip(planned, counted, named, strict=True)
    ]


def _hardware(origin: Origin) -> str | None:
    """The machines that a study's calls trained the cell on."""
    if origin.study is None:
        return origin.summary.get("device")
    used = [call["machine"] for call in read_invocations(origin.study) if origin.cell["id"] in call["cells"]]
    found = [
        f"{', '.join(machine['gpus']) or machine['cpu']}, {machine['threads']} threads, {machine['memory_gib']} GiB"
        for machine in used
    ]
    return "; then ".join(dict.fromkeys(found)) or origin.summary.get("device")


def _eval_result(result: Result) -> EvalResult:
    return EvalResult(
        task_type="text-ranking",
        task_name="Re-ranking",
        dataset_type=dataset(result.collection),
        dataset_name=result.collection,
        metric_type=result.measure.lower(),
        metric_name=result.measure,
        metric_value=round(result.value, 4),
    )


def _row(result: Result) -> dict[str, str]:
    def interval(bounds: tuple[float, float], sign: str = "") -> str:
        return f"[{bounds[0]:{sign}.4f}, {bounds[1]:{sign}.4f}]"

    return {
        "collection": result.collection,
        "measure": result.measure,
        "queries": str(result.queries),
        "value": f"{result.value:.4f} {interval(result.interval)}",
        "first_stage": f"{result.first_stage:.4f}",
        "difference": f"{result.difference:+.4f} {interval(result.difference_interval, '+')}",
    }


def terms_of_use(collections: Sequence[str]) -> str | None:
    """The terms of collections under their full names; None where those of any, such as a folder's, are unknown."""
    known = [_known_terms(name) for name in collections]
    return None if not known or None in known else "; ".join(dict.fromkeys(map(str, known)))


def _known_terms(collection: str) -> str | None:
    if collection.startswith((".", "/", "~")):
        return None
    name = dataset(collection)
    return next((TERMS[key] for key in TERMS if name == key or (key.endswith("-") and name.startswith(key))), None)
