"""What a cross-encoder costs in service: how long a query takes, pairs a second, memory; in the forms that can be had.

Each form of a model (number format, ONNX file, number of threads) is measured in a process of its own, one after
another, on real queries with a first stage's candidates, from texts to scores.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from limbeck.collections import Collection
from limbeck.core.errors import LimbeckError, MissingError, UsageError, plural
from limbeck.runs import Run
from limbeck.serve.config import Form, LatencySettings

FORMS: tuple[Form, ...] = ("fp32", "bf16", "onnx", "onnx-int8")
FEWEST, MOST = 8, 500  # queries timed for a setting
WARM_UP = 2
AGREEMENT_QUERIES = 10


@dataclass(frozen=True, kw_only=True)
class Latency:
    """One form of a model at one number of passages.

    Attributes:
        threads: of the CPU; None on another device.
        p50_ms, p95_ms: milliseconds from a query's texts to its scores, over `queries` timed one after another.
        peak_memory_mib: of the whole process, or on a GPU of what its tensors took, with this form.
        agreement: Kendall's τ with fp32's ranking of the same passages, averaged over 10 queries; None without fp32.
    """

    model: str
    form: str
    device: str
    threads: int | None
    passages: int
    p50_ms: float
    p95_ms: float
    queries: int
    pairs_per_second: float
    tokens_per_pair: float
    peak_memory_mib: float
    agreement: float | None


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A form that was not measured, and why."""

    model: str
    form: str
    reason: str


def measure_latency(
    models: Mapping[str, str],
    collection: Collection,
    run: Run,
    settings: LatencySettings,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[list[Latency], list[LeftOut]]:
    """Measure models on the first passages of a run's queries.

    Args:
        models: name in the results → what `CrossEncoder.load` takes. A model's folder with `onnx/model.onnx` and
            `onnx/model_quint8.onnx` (`limbeck export --onnx`) is measured with these; of others they are made first.
        say: called with a line before each form.

    Raises:
        UsageError: the run has too few candidates for the numbers of passages.
    """
    texts = _texts(collection, run, max(settings.passages))
    found: list[Latency] = []
    left_out: list[LeftOut] = []
    with tempfile.TemporaryDirectory(prefix="limbeck-latency-") as folder:
        aside = Path(folder)
        (aside / "queries.json").write_text(json.dumps(texts), encoding="utf-8")
        for model, place in models.items():
            rankings: dict[int | None, Any] = {}
            forms, without = _forms(model, place, settings, aside)
            left_out += without
            for form, weights, threads in forms:
                say(f"{model}: {form}" + (f", {plural(threads, 'thread')}" if threads else ""))
                done = _measured_apart({
                    "model": weights, "form": form, "threads": threads, "queries": str(aside / "queries.json"),
                    "passages": settings.passages, "seconds": settings.seconds,
                })  # fmt: skip
                if "error" in done:
                    left_out.append(LeftOut(model=model, form=form, reason=done["error"]))
                    continue
                if form == "fp32":
                    rankings[threads] = done["scores"]
                agreement = _agreement(next(iter(rankings.values()), None), done["scores"], form)
                shared = {"model": model, "form": form, "device": done["device"], "threads": threads}
                shared |= {"peak_memory_mib": done["peak_memory_mib"], "agreement": agreement}
                found += [Latency(**shared, **row) for row in done["rows"]]
    return found, left_out


def _texts(collection: Collection, run: Run, most: int) -> list[tuple[str, list[str]]]:
    """(query, its first passages) of the queries with enough candidates."""
    full = [query_id for query_id in collection.query_ids if query_id in run and len(run[query_id]) >= most]
    if not full:
        raise UsageError(
            f"{run.name}: no query of {collection.name} has {most} candidates; retrieve deeper (--depth {most}), "
            "or ask for fewer --passages"
        )
    if absent := next((d for q in full for d in run[q].docids[:most] if d not in collection.documents), None):
        raise MissingError(f"{run.name}: {absent} is no document of {collection.name}")
    return [(collection.queries[q], [collection.documents[d] for d in run[q].docids[:most]]) for q in full[:MOST]]


def _forms(
    model: str, place: str, settings: LatencySettings, aside: Path
) -> tuple[list[tuple[str, str, int | None]], list[LeftOut]]:
    """(form, weights, threads) to measure, and what is left out."""
    from limbeck.core.devices import has_fast_bf16_cpu
    from limbeck.export.onnx import FP32, INT8, require_onnx, write_onnx
    from limbeck.models.cross_encoder import CrossEncoder

    encoder = CrossEncoder.load(place)
    on_cpu = encoder.device.type == "cpu"
    wanted = settings.form or FORMS
    left_out = []
    if not settings.form and on_cpu and not has_fast_bf16_cpu():
        reason = "emulated on this CPU, many times slower than fp32; --form bf16 measures it all the same"
        left_out.append(LeftOut(model=model, form="bf16", reason=reason))
        wanted = tuple(form for form in wanted if form != "bf16")
    weights = {"onnx": Path(place) / FP32, "onnx-int8": Path(place) / INT8}
    if any(form in wanted and not path.is_file() for form, path in weights.items()):
        try:
            require_onnx()
            made = aside / f"model-{len(list(aside.iterdir()))}"
            encoder.save(made)
            write_onnx(made)
            weights = {"onnx": made / FP32, "onnx-int8": made / INT8}
        except LimbeckError as error:
            left_out += [LeftOut(model=model, form=form, reason=str(error)) for form in wanted if form in weights]
            wanted = tuple(form for form in wanted if form not in weights)
    threads = settings.threads or tuple(sorted({1, cores()}))
    forms: list[tuple[str, str, int | None]] = []
    for form in wanted:
        of_cpu = on_cpu or form in weights
        loaded = f"{place}\n{weights[form]}" if form in weights else place
        forms += [(form, loaded, count) for count in (threads if of_cpu else (None,))]
    return forms, left_out


def cores() -> int:
    """Threads that torch takes where nobody says how many."""
    import torch

    return torch.get_num_threads()


def _measured_apart(job: dict[str, Any]) -> dict[str, Any]:
    """What `main` found of a job, in a process of its own; {"error": …} where it failed."""
    code = "from limbeck.serve.latency import main; main()"
    done = subprocess.run([sys.executable, "-c", code], input=json.dumps(job), capture_output=True, text=True)
    if done.returncode:
        last = next(iter(reversed(done.stderr.strip().splitlines())), f"ended with {done.returncode}")
        return {"error": last}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _agreement(own: Any, other: Any, form: str) -> float | None:
    from scipy.stats import kendalltau

    if own is None or form == "fp32":
        return None
    taus = [kendalltau(a, b).statistic for a, b in zip(own, other, strict=True) if np.ptp(a) > 0 and np.ptp(b) > 0]
    return float(np.mean(taus)) if taus else None


def main() -> None:
    """One form of one model: a job as JSON on standard input, what was measured as JSON on standard output."""
    import torch

    job = json.load(sys.stdin)
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    try:
        print(json.dumps(_measure(job)))
    except LimbeckError as error:
        print(json.dumps({"error": str(error)}))


def _measure(job: dict[str, Any]) -> dict[str, Any]:
    import torch

    from limbeck.models.cross_encoder import CrossEncoder

    name, _, graph = job["model"].partition("\n")
    encoder = CrossEncoder.load(name, device="cpu" if graph else None)
    if graph:
        from limbeck.export.onnx import onnx_encoder

        encoder = onnx_encoder(encoder, Path(graph))
    precision = job["form"] if job["form"] in ("bf16", "fp16") else "fp32"
    queries = json.loads(Path(job["queries"]).read_text(encoding="utf-8"))
    rows = []
    for count in job["passages"]:
        requests = [[(query, passage) for passage in passages[:count]] for query, passages in queries]
        for request in requests[:WARM_UP]:
            encoder.score(request, precision)
        seconds: list[float] = []
        while len(seconds) < FEWEST or (sum(seconds) < job["seconds"] and len(seconds) < MOST):
            began = perf_counter()
            encoder.score(requests[len(seconds) % len(requests)], precision)
            seconds.append(perf_counter() - began)
        timed = [requests[number % len(requests)] for number in range(len(seconds))]
        lengths = [encoder.stored(request) for request in timed[:AGREEMENT_QUERIES]]
        tokens = np.concatenate([pairs.lengths(queries, passages) for pairs, queries, passages in lengths])
        p50, p95 = np.quantile(seconds, [0.5, 0.95]) * 1000
        rows.append({
            "passages": count, "p50_ms": float(p50), "p95_ms": float(p95), "queries": len(seconds),
            "pairs_per_second": count * len(seconds) / sum(seconds), "tokens_per_pair": float(tokens.mean()),
        })  # fmt: skip
    scores = [
        encoder.score_rows(*encoder.stored([(query, passage) for passage in passages]), precision).tolist()
        for query, passages in queries[:AGREEMENT_QUERIES]
    ]
    cuda = encoder.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if cuda else _peak_bytes()
    return {"rows": rows, "scores": scores, "device": encoder.device.type, "peak_memory_mib": round(peak / 2**20, 1)}


def _peak_bytes() -> int:
    """The most memory that this process has held. Not `ru_maxrss`, which on Linux begins with what its parent held."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def models_of_study(folder: Path) -> dict[str, str]:
    """Backbone → the model of one finished cell: what models of one backbone cost does not depend on their training.

    Raises:
        MissingError: no cell is finished.
    """
    from limbeck.study.run.store import Store

    store = Store(folder)
    found: dict[str, str] = {}
    for cell in store.read_index()["cells"]:
        model = store.cell(cell["id"]) / "model"
        if (model / "config.json").is_file():
            found.setdefault(cell["backbone"], str(model))
    if not found:
        raise MissingError(f"{folder}: no cell of the study is trained yet; run it first (`limbeck study run`)")
    return found


def as_json(found: Sequence[Latency], left_out: Sequence[LeftOut], collection: str, run: str) -> dict[str, Any]:
    """What was measured, where, and what was left out."""
    from limbeck.core.environment import machine, versions

    return {
        "collection": collection, "run": run, "machine": machine(), "versions": versions(),
        "measured": [asdict(each) for each in found], "left_out": [asdict(each) for each in left_out],
    }  # fmt: skip
