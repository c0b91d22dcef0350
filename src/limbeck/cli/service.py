"""Verbs that bring a model into service: calibrate, bench, serve."""

import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli.output import (
    CollectionName,
    Json,
    errors,
    load,
    output_folder,
    print_json,
    print_table,
    say,
    tell,
    warn,
)
from limbeck.core.errors import MissingError, UsageError, plural
from limbeck.core.options import Options, Precision, with_options
from limbeck.serve.config import LatencySettings, ServeSettings

if TYPE_CHECKING:
    from limbeck.evaluation.calibration import Calibration, Interval
    from limbeck.serve.latency import Latency, LeftOut

FEW_RELEVANT = 50


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command("calibrate")(calibrate)
    app.command("bench")(bench)
    app.command("serve")(serve)


def calibrate(
    model: Annotated[str, typer.Option(help="Cross-encoder: folder, Hub id or package:NAME/PATH.")],
    collection: CollectionName,
    run: Annotated[Path, typer.Option("--run", "--candidates", help="TREC run with the candidates.")],
    output: Annotated[Path, output_folder("Folder for the calibrated model.")],
    depth: Annotated[int, typer.Option(min=1, help="Candidates per query, as many as will be re-ranked.")] = 100,
    threshold: Annotated[
        list[float] | None,
        typer.Option(min=0, max=1, help="Probability at which precision is told; once for each (default: .1 to .9)."),
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Number format of matrix products.")] = "fp32",
    json: Json = False,
) -> None:
    """Make a model's scores probabilities of relevance, by Platt's method, and say how far they hold.

    The collection is one for validation: judged, and not what the model was trained or will be tested on. Candidates
    without judgment count as not relevant. Rankings stay as they are; the server's, sentence-transformers' and
    CrossEncoder.score's numbers become the probability, transformers' logit and `limbeck rerank`'s its log-odds.
    """
    from limbeck.evaluation import rerank
    from limbeck.evaluation.calibration import THRESHOLDS, facts_of
    from limbeck.evaluation.calibration import calibrate as fit
    from limbeck.models.checkpoint import expect_replaceable
    from limbeck.models.cross_encoder import CrossEncoder
    from limbeck.runs import read_run

    if output.resolve() == Path(model).resolve():
        raise UsageError(f"{output}: is the model itself; expected another folder")
    expect_replaceable(output)
    data, candidates = load(collection), read_run(run)
    encoder = CrossEncoder.load(model)
    warn([note] if (note := encoder.precision(precision).note) else [])
    ranked = rerank(encoder, data, candidates, depth, precision, run.name, console=errors())
    found = fit(data, ranked, sorted(set(threshold or THRESHOLDS)))
    if found.relevant < FEW_RELEVANT:
        warn([f"only {found.relevant} relevant candidates to learn from; the intervals say how little that is"])
    encoder.calibrate(found.platt.slope, found.platt.intercept, facts_of(found, run.name, depth))
    encoder.save(output)
    if json:
        print_json({"output": str(output), "depth": depth, "calibration": found})
        return
    _report_calibration(found, output)


def _report_calibration(found: "Calibration", output: Path) -> None:
    def told(interval: "Interval | None") -> str:
        return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]" if interval else "–"

    say(
        f"{output}: the probability of relevance is sigmoid({found.platt.slope:.4g} × score "
        f"{'+' if found.platt.intercept >= 0 else '−'} {abs(found.platt.intercept):.4g}); now the model's own"
    )
    say(
        f"fitted to {plural(found.candidates, 'candidate')} of {found.queries} queries of {found.collection}, "
        f"{found.relevant:,} relevant, {found.unjudged:,} without judgment (counted as not relevant)"
    )
    say(f"expected calibration error before: {told(found.error_before)}")
    say(f"expected calibration error now:    {told(found.error)}")
    rows = [
        (
            f"{each.threshold:g}",
            f"{each.candidates:,}",
            f"{each.relevant:,}",
            told(each.precision),
            f"{each.recall:.3f}",
        )
        for each in found.precision
    ]
    caption = "held-out queries (5 folds), 95 % intervals over queries; recall: the share of relevant candidates kept"
    print_table(("probability at least", "candidates", "relevant", "precision", "recall"), rows, caption)


@with_options(settings=Options(declaration=LatencySettings))
def bench(
    *,
    model: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Cross-encoders: folder, Hub id or package:…; or a study's folder."),
    ],
    collection: Annotated[str, typer.Option(help="Whose queries and passages are scored.")] = "demo/test",
    run: Annotated[Path | None, typer.Option(help="Their candidates, a TREC run (default: BM25's).")] = None,
    settings: dict[str, Any],
    json: Json = False,
) -> None:
    """Measure how long a query takes (p50, p95), pairs a second and memory, in fp32, bf16, ONNX and 8 bits.

    Everything in one run, each form in a process of its own. Of a study's folder one model of each backbone is
    measured, and kept in DIR/latency.json, from which `limbeck study report` draws quality over latency.
    """
    from limbeck.core.files import write_json
    from limbeck.retrieval import BM25
    from limbeck.runs import read_run
    from limbeck.serve.latency import as_json, measure_latency, models_of_study
    from limbeck.study.run.store import Store

    lists = {name: tuple(value) for name, value in settings.items() if isinstance(value, list)}
    chosen = LatencySettings(**{**settings, **lists})
    studies = [each for each in model if (Path(each) / "index.json").is_file()]
    if studies and len(model) > 1:
        raise UsageError(f"{studies[0]}: is a study's folder; expected it alone, or models")
    models = models_of_study(Path(studies[0])) if studies else {each: each for each in model}
    data = load(collection)
    candidates = read_run(run) if run else BM25().retrieve(data, max(chosen.passages), progress=False)
    if (load_average := os.getloadavg()[0]) > (os.cpu_count() or 1) / 2:
        warn([f"this machine is busy (load {load_average:.1f}): latencies are upper bounds, and forms hard to compare"])
    found, left_out = measure_latency(models, data, candidates, chosen, lambda line: tell(f"measure {line}", "dim"))
    if not found:
        reasons = "; ".join(f"{each.model} · {each.form}: {each.reason}" for each in left_out)
        raise MissingError(f"nothing could be measured: {reasons}")
    facts = as_json(found, left_out, data.name, candidates.name)
    if studies:
        write_json(Store(studies[0]).latency, facts)
    if json:
        print_json(facts)
        return
    _report_latency(found, left_out, data.name)
    if studies:
        say(f"kept in {Store(studies[0]).latency}; `limbeck study report {studies[0]}` draws it")


def _report_latency(found: "Sequence[Latency]", left_out: "Sequence[LeftOut]", collection: str) -> None:
    rows = [
        (
            f"{each.model} · {each.form}", str(each.threads or each.device), str(each.passages), f"{each.p50_ms:,.1f}",
            f"{each.p95_ms:,.1f}", f"{each.pairs_per_second:,.0f}", f"{each.peak_memory_mib:,.0f}",
            "" if each.agreement is None else f"{each.agreement:.3f}", str(each.queries),
        )
        for each in found
    ]  # fmt: skip
    columns = ("model · form", "threads", "passages", "p50 ms", "p95 ms", "pairs/s", "peak MiB", "τ", "queries")
    tokens = ", ".join(sorted({f"{each.tokens_per_pair:.0f}" for each in found}, key=int))
    caption = f"{collection}, {tokens} tokens a pair; τ: agreement with fp32's ranking (Kendall)"
    print_table(columns, rows, caption)
    for each in left_out:
        say(f"not measured: {each.model} · {each.form}: {each.reason}")


@with_options(settings=Options(declaration=ServeSettings))
def serve(
    *,
    model: Annotated[str, typer.Argument(help="Cross-encoder: folder, Hub id or package:NAME/PATH.")],
    settings: dict[str, Any],
    key: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="Environment variable with the key that requests must bear.")
    ] = None,
) -> None:
    """Serve a cross-encoder to re-rank clients: Cohere's, Jina's, vLLM's, Infinity's, TEI's and Voyage's.

    POST /v1/rerank, /v2/rerank, /rerank and /v1/score; GET /v1/models, /health and /metrics. SIGTERM answers what
    waits, then ends.
    """
    try:
        import prometheus_client  # noqa: F401
        import uvicorn

        from limbeck.serve.app import create_app
    except ModuleNotFoundError as error:
        raise MissingError(f"serving needs the package {error.name}: pip install 'limbeck[serve]'") from None
    from limbeck.models.cross_encoder import CrossEncoder

    chosen = ServeSettings(**settings)
    if key is not None and not os.environ.get(key):
        raise UsageError(f"--key {key}: the environment has no such variable, or it is empty; export {key}=…")
    _expect_free(chosen.host, chosen.port)
    application = create_app(CrossEncoder.load(model), chosen, key and os.environ[key])
    uvicorn.run(application, host=chosen.host, port=chosen.port, log_level="info", timeout_graceful_shutdown=60)


def _expect_free(host: str, port: int) -> None:
    """UsageError where nothing can listen on an address, told before a model is loaded for it."""
    faults = []
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        places, faults = [], [error]
    for family, kind, protocol, _, address in places:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            faults.append(error)
    if faults and (len(faults) >= len(places) or any(fault.errno == errno.EADDRINUSE for fault in faults)):
        raise UsageError(f"--host {host} --port {port}: cannot be listened on: {faults[0].strerror}; choose another")
