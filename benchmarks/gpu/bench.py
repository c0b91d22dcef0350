"""How fast is limbeck on this device, beside sentence-transformers, and where does the time go?

    python benchmarks/gpu/bench.py [--only NAME…] [--seconds 290]

Equal for both: model and weights, texts, dropout, longest pair (256), objective (RankNet), AdamW, bf16 by autocast,
lists a step. limbeck's texts are tokenised before (its token store), sentence-transformers' in its training loop: that
is how each works. Pairs a second by the wall's clock, over the steps after the first ones, the device waited for at
both ends. Utilisation: the model's floating-point operations over what a product of 8192³ in bf16 reaches here.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from suite import CUDA, DEVICE, PRECISION, Suite, Text, make_model, need_cuda, need_package, texts

from limbeck.collections import Collection
from limbeck.core.devices import autocast
from limbeck.kernels.attention import Sequences, flash
from limbeck.lists import Lists
from limbeck.models.cost import product_rate, training_flops
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import parse
from limbeck.tokens.pairs import collection_pairs
from limbeck.training import Backbone, Settings, Stage, TrainingPlan, loop, train
from limbeck.training.step import assemble_batch, read_step

MODELS = {
    "minilm-l6": ("bert", "minilm-l6"),
    "bert-base": ("bert", "base"),
    "modernbert-base": ("modernbert", "modernbert-base"),
}
COMPILED = {"compiled": True}
RATE = {"bf16": 1e12}  # operations a second of a large product
Rows = tuple[list[str], list[list[str]]]


def main() -> int:
    """Run all parts, in order of worth."""
    suite = Suite("bench", __doc__)
    if CUDA:
        sys.path.insert(0, str(Path(__file__).parent / "stand_in"))  # flash_attn, if no other is there
    suite("ceilings", ceilings, suite)
    for name in suite.ways("bert-base", "modernbert-base", "minilm-l6"):
        training(suite, name, 32, 8)
    if not suite.tiny:
        training(suite, "bert-base", 16, 16)
    for name in suite.ways("minilm-l6", "bert-base", "modernbert-base"):
        reranking(suite, name)
    for name in suite.ways("bert-base", "modernbert-base", "minilm-l6"):
        label = f"train {name} 32 × 8"
        suite(f"{label}, compiled", limbeck_training, suite, name, 32, 8, COMPILED, needs=60)
    for setting in ({"deterministic": True}, {"precision": "fp16"}, {"precision": "tf32"}, {"precision": "fp32"}):
        words = ", ".join(key if value is True else str(value) for key, value in setting.items())
        suite(f"train bert-base 32 × 8, {words}", limbeck_training, suite, "bert-base", 32, 8, setting, needs=15)
    suite("train minilm-l6 8 × 8", limbeck_training, suite, "minilm-l6", 8, 8, {})
    suite("several at once", several_at_once, suite, needs=40)
    suite("feeding", feeding, suite)
    suite("kernels", kernels, suite)
    suite("profile bert-base", profiled, suite, "bert-base", {}, needs=15)
    suite("profile bert-base, compiled", profiled, suite, "bert-base", COMPILED, needs=60)
    code = suite.end()
    print(f"\n{'':60}{'pairs/s':>10}{'of rate':>9}{'GiB':>7}")
    for name, found in suite.passed.items():
        if "pairs/s" in found:
            print(f"{name:60}{found['pairs/s']:>10}{found.get('utilisation', ''):>9}{found.get('peak GiB', ''):>7}")
    return code


def finished() -> None:
    """Wait for the device."""
    if CUDA:
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], object], repeats: int = 10) -> float:
    """The median time of some work; on CUDA by the device's own clock."""
    if not CUDA:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began
    times = []
    for _ in range(3 + repeats):
        began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        began.record()
        work()
        ended.record()
        ended.synchronize()
        times.append(began.elapsed_time(ended) / 1e3)
    return statistics.median(times[3:])


def ceilings(suite: Suite) -> dict[str, Any]:
    """What the card reaches in plain products and in copying, in TFLOP/s and TB/s."""
    found, size = {}, 64 if suite.tiny else 8192
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    for name, dtype in (dtypes | ({"tf32": torch.float32} if CUDA else {})).items():
        left, right = (torch.randn(size, size, device=DEVICE, dtype=dtype) for _ in range(2))
        with autocast(left.device, "tf32" if name == "tf32" else "fp32"):
            RATE[name] = 2 * size**3 / seconds_of(lambda left=left, right=right: left @ right)
        found[f"{name} {size}³"] = RATE[name] / 1e12
    for tokens in (2048, 16384, 65536):
        for hidden, inner in ((384, 1536), (768, 3072)):
            rows = tokens // 1024 if suite.tiny else tokens
            left = torch.randn(rows, hidden, device=DEVICE, dtype=torch.bfloat16)
            right = torch.randn(hidden, inner, device=DEVICE, dtype=torch.bfloat16)
            took = seconds_of(lambda left=left, right=right: left @ right)
            found[f"bf16 {rows} × {hidden} × {inner}"] = 2 * rows * hidden * inner / took / 1e12
    source = torch.empty(2**18 if suite.tiny else 2**30, device=DEVICE)
    target = torch.empty_like(source)
    found["copy TB/s"] = 2 * source.nbytes / seconds_of(lambda: target.copy_(source)) / 1e12
    if CUDA:
        model = CrossEncoder.load(make_model(suite, "bert"), device=DEVICE).model
        found["limbeck's own product_rate"] = product_rate(model, "bf16") / 1e12
    return found


def of_model(suite: Suite, name: str) -> tuple[Path, float]:
    """Folder of a model and its dropout; in tiny runs a small one of the same family."""
    family, shape = MODELS[name]
    dropout = 0.0 if family == "modernbert" else 0.1
    return make_model(suite, family, "small" if suite.tiny else shape, dropout), dropout


def lists_of(count: int, width: int) -> Rows:
    """Queries and their passages, about as long as MS MARCO's."""
    passages = texts(count * width, 72, 2, longest=240)
    return texts(count, 9, 1, longest=30), [passages[n * width : (n + 1) * width] for n in range(count)]


def plan_of(folder: Path, rows: Rows, lists_per_step: int, steps: int, dropout: float, settings: Any) -> TrainingPlan:
    """A training of limbeck."""
    queries = {f"q{number}": text for number, text in enumerate(rows[0])}
    documents = {f"d{query}-{place}": text for query, row in enumerate(rows[1]) for place, text in enumerate(row)}
    order, objective = [np.arange(len(row), 0, -1, dtype=np.float32) for row in rows[1]], parse("RankNet")
    lists = Lists(
        list(queries),
        [[f"d{query}-{place}" for place in range(len(row))] for query, row in enumerate(rows[1])],
        teacher_scores=order, teacher_order=order,
    )  # fmt: skip
    return TrainingPlan(
        backbone=Backbone(model=str(folder), max_length=256, dropout=dropout),
        stages=(Stage(objective=objective, lists=lists, steps=steps, lists_per_step=lists_per_step),),
        collection=Collection("bench", documents, queries, {}, tuple(queries)),
        settings=Settings(**{"precision": PRECISION, "compiled": False, "checkpoint_every": 10**9, **settings}),
    )


def sizes(suite: Suite, lists: int, width: int) -> tuple[int, int, int, int]:
    """Steps before those that count, steps that count, lists a step and passages of each."""
    return (1, 2, 2, 4) if suite.tiny else (4, 12, lists, width)


def limbeck_training(
    suite: Suite,
    name: str,
    lists: int,
    width: int,
    settings: dict[str, Any],
    during: contextlib.AbstractContextManager[Any] | None = None,
) -> dict[str, Any]:
    """limbeck's rate, by its own loop; `during` is entered for the steps that count."""
    if settings.get("compiled") or settings.get("precision") in ("fp16", "tf32"):
        need_cuda()
    folder, dropout = of_model(suite, name)
    warm, steps, lists, width = sizes(suite, lists, width)
    plan = plan_of(folder, lists_of((warm + steps) * lists, width), lists, warm + steps, dropout, settings)
    taken, done, clock = loop._Training._step, [], {}

    def step(training: Any) -> None:
        if training.state.step == warm:
            finished()
            if CUDA:
                torch.cuda.reset_peak_memory_stats()
            if during:
                during.__enter__()
            clock["began"] = time.perf_counter()
        before = time.perf_counter()
        taken(training)
        if training.state.step > warm:
            done.append((training.taken, time.perf_counter() - before))
        if training.state.step == warm + steps:
            finished()
            clock["seconds"] = time.perf_counter() - clock["began"]
            if during:
                during.__exit__(None, None, None)
            clock["words"] = training.encoder.attention(plan.settings.precision)

    loop._Training._step = step
    try:
        train(plan, suite.folder / f"bench-{len(suite.passed)}-{len(suite.failed)}")
    finally:
        loop._Training._step = taken
    work = [each.work for each, _ in done]
    return {
        "pairs/s": round(sum(each.pairs for each in work) / clock["seconds"], 1),
        **measured(sum(each.flops for each, _ in done), clock["seconds"]),
        "host ms a step": round(1e3 * statistics.mean(host for _, host in done), 2),
        "tokens a pair": round(sum(each.tokens for each in work) / sum(each.pairs for each in work), 1),
        "micro-batches": work[-1].micro_batches, "single pass": work[-1].single_pass, "path": clock["words"],
    }  # fmt: skip


def measured(flops: float, seconds: float) -> dict[str, Any]:
    """Utilisation and peak memory."""
    peak = {"peak GiB": round(torch.cuda.max_memory_allocated() / 2**30, 2)} if CUDA else {}
    return {"utilisation": round(flops / seconds / RATE["bf16"], 3)} | peak


def training(suite: Suite, name: str, lists: int, width: int) -> None:
    """limbeck and sentence-transformers in turn."""
    label = f"train {name} {lists} × {width}"
    suite(label, limbeck_training, suite, name, lists, width, {})
    for attention in ("sdpa", "flash_attention_2"):
        peer = f"{label}: sentence-transformers, {attention}"
        suite(peer, peer_training, suite, name, lists, width, attention, needs=12)


def peer_training(suite: Suite, name: str, lists: int, width: int, attention: str) -> dict[str, Any]:
    """The rate of sentence-transformers' CrossEncoderTrainer, as in its manual, all of a step's pairs at once."""
    if attention != "sdpa":
        need_cuda()
    need_package("sentence_transformers", "datasets", "accelerate")
    from datasets import Dataset
    from sentence_transformers import CrossEncoder as Peer
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import RankNetLoss
    from transformers import TrainerCallback

    folder, _ = of_model(suite, name)
    warm, steps, lists, width = sizes(suite, lists, width)
    queries, passages = lists_of((warm + steps) * lists, width)
    labels = [list(range(width, 0, -1))] * len(queries)
    dataset = Dataset.from_dict({"query": queries, "docs": passages, "labels": labels})
    model = Peer(
        str(folder), num_labels=1, max_length=256, device=DEVICE, activation_fn=torch.nn.Identity(),
        model_kwargs={"attn_implementation": attention},
    )  # fmt: skip
    clock: dict[str, float] = {}

    class Clock(TrainerCallback):
        def on_step_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step in (warm, warm + steps):
                finished()
                clock["ended" if "began" in clock else "began"] = time.perf_counter()
            if state.global_step == warm and CUDA:
                torch.cuda.reset_peak_memory_stats()

    arguments = CrossEncoderTrainingArguments(
        output_dir=str(suite.folder / "peer"), max_steps=warm + steps, per_device_train_batch_size=lists,
        learning_rate=1e-5, bf16=CUDA, use_cpu=not CUDA, save_strategy="no", report_to="none", disable_tqdm=True,
        logging_strategy="no",
    )  # fmt: skip
    loss = RankNetLoss(model, mini_batch_size=-1)
    with contextlib.redirect_stdout(sys.stderr):
        CrossEncoderTrainer(model=model, args=arguments, train_dataset=dataset, loss=loss, callbacks=[Clock()]).train()
    seconds = clock["ended"] - clock["began"]
    encoder = CrossEncoder.load(folder, device="cpu", max_length=256)
    counted = [(queries[number], text) for number in range(warm * lists, len(queries)) for text in passages[number]]
    source, query_rows, passage_rows = encoder.stored(counted)
    flops = training_flops(encoder.model, source.lengths(query_rows, passage_rows))
    return {"pairs/s": round(len(counted) / seconds, 1), **measured(flops, seconds)}


def reranking(suite: Suite, name: str) -> None:
    """Scores of candidates at depth 1,000: limbeck with and without tokenising, sentence-transformers."""
    depth, queries = (16, 2) if suite.tiny else (1000, 8)

    @cache
    def material() -> tuple[Path, list[Text]]:
        """The model and the pairs; made for the first part that runs."""
        asked, passages = texts(queries, 9, 21, longest=30), texts(depth * queries, 72, 22, longest=240)
        return of_model(suite, name)[0], [(asked[number // depth], text) for number, text in enumerate(passages)]

    def ours(tokenised: bool, compiled: bool = False) -> dict[str, Any]:
        if compiled:
            need_cuda()
        folder, pairs = material()
        encoder = CrossEncoder.load(folder, device=DEVICE, max_length=256, compiled=compiled)
        stored = encoder.stored(pairs)
        flops = training_flops(encoder.model, stored[0].lengths(*stored[1:])) / 3
        if tokenised:
            return rate(lambda: encoder.score_rows(*stored, PRECISION), flops)
        return rate(lambda: encoder.score(pairs, PRECISION), flops)

    def peer(batch: int, attention: str) -> dict[str, Any]:
        if attention != "sdpa":
            need_cuda()
        need_package("sentence_transformers")
        from sentence_transformers import CrossEncoder as Peer

        folder, pairs = material()
        options = {"attn_implementation": attention, "dtype": torch.bfloat16 if CUDA else torch.float32}
        model = Peer(
            str(folder), num_labels=1, max_length=256, device=DEVICE, activation_fn=torch.nn.Identity(),
            model_kwargs=options,
        )  # fmt: skip
        return rate(lambda: model.predict(pairs, batch_size=batch, show_progress_bar=False), 0.0)

    def rate(work: Callable[[], object], flops: float) -> dict[str, Any]:
        work()
        finished()
        began = time.perf_counter()
        work()
        finished()
        seconds = time.perf_counter() - began
        return {"pairs/s": round(depth * queries / seconds, 1)} | (measured(flops, seconds) if flops else {})

    suite(f"rerank {name}, texts", ours, False, needs=8)
    suite(f"rerank {name}, tokenised", ours, True, needs=8)
    suite(f"rerank {name}, tokenised, compiled", ours, True, compiled=True, needs=30)
    for batch, attention in ((32, "sdpa"), (256, "sdpa"), (256, "flash_attention_2")):
        suite(
            f"rerank {name}, texts: sentence-transformers, {attention}, {batch} at once",
            peer,
            batch,
            attention,
            needs=8,
        )


def several_at_once(suite: Suite) -> dict[str, Any]:
    """Trainings of a small model in processes of their own, on one GPU: pairs a second, all together."""
    found, hang = {}, max(300.0, suite.seconds)  # seconds that no process takes, however busy the machine is
    for count in (1,) if suite.tiny else (1, 2, 3):
        command = [sys.executable, __file__, "--only", "train minilm-l6 8 × 8", "--seconds", str(hang)]
        command += ["--tiny"] if suite.tiny else []
        outputs = [suite.folder / f"at-once-{count}-{number}" for number in range(count)]
        streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        running = [subprocess.Popen([*command, "--output", output], **streams) for output in outputs]
        try:
            for process in running:
                _, errors = process.communicate(timeout=hang)
                assert process.returncode == 0, errors[-1000:]
        finally:
            for process in running:
                process.kill()
        parts = [json.loads((output / "bench.json").read_text())["passed"] for output in outputs]
        found[f"{count} at once"] = round(sum(part["train minilm-l6 8 × 8"]["pairs/s"] for part in parts), 1)
    return found


def feeding(suite: Suite) -> dict[str, Any]:
    """What sampler, token store and packing feed on this machine's processor, without any model."""
    width, lists, steps = (8, 4, 2) if suite.tiny else (8, 32, 12)
    plan = plan_of(make_model(suite, "bert"), lists_of(lists * steps, width), lists, steps, 0.1, {})
    encoder = CrossEncoder.load(plan.backbone.model, device=DEVICE, max_length=256, packed=True)
    source, sampler = collection_pairs(encoder, plan.collection), plan.stages[0].sampler(1, 0)
    spent = dict.fromkeys(("draw", "assemble", "cut and read"), 0.0)
    pairs = 0
    for step in range(steps):
        times = [time.perf_counter()]
        drawn = sampler(step)
        times.append(time.perf_counter())
        batch = assemble_batch(source, plan.stages[0].lists, drawn, frozenset({"teacher_order"})).to(encoder.device)
        times.append(time.perf_counter())
        read_step(encoder, source, batch.query_rows, batch.passage_rows, token_budget=65536)
        times.append(time.perf_counter())
        if step:
            pairs += len(batch.query_rows)
            for key, began, ended in zip(spent, times, times[1:], strict=False):
                spent[key] += ended - began
    each = {f"{key}, µs a pair": round(1e6 * seconds / pairs, 2) for key, seconds in spent.items()}
    return {"fed pairs/s": round(pairs / sum(spent.values()))} | each


def kernels(suite: Suite) -> dict[str, Any]:
    """Microseconds, forward and backward, of pieces of a layer of 768 hidden units over 16,384 tokens in bf16."""
    tokens, width, heads, length = (256, 64, 2, 64) if suite.tiny else (16384, 768, 12, 128)
    norm, found = torch.nn.LayerNorm(width, device=DEVICE), {}

    def random(*shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
        return torch.randn(*shape, device=DEVICE, dtype=dtype, requires_grad=True)

    def both(name: str, piece: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> None:
        def run() -> None:
            result = piece(*inputs)
            torch.autograd.grad(result, inputs, torch.ones_like(result))

        found[name] = round(1e6 * seconds_of(run), 1)

    def tail(states: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        with torch.autocast(DEVICE, torch.bfloat16):
            return norm(torch.nn.functional.dropout(states, 0.1) + residual)

    both("dropout, residual, norm", tail, random(tokens, width), random(tokens, width, dtype=torch.float32))
    both("gelu", torch.nn.functional.gelu, random(tokens, 4 * width))
    both("product to query, key, value", torch.matmul, random(tokens, width), random(width, 3 * width))
    rows = [random(tokens // length, heads, length, width // heads) for _ in range(3)]
    both("attention without padding", torch.nn.functional.scaled_dot_product_attention, *rows)
    if CUDA:
        both(
            "dropout, residual, norm, compiled", torch.compile(tail, dynamic=True), random(tokens, width),
            random(tokens, width, dtype=torch.float32),
        )  # fmt: skip
        sequences = Sequences(np.full(tokens // length, length), torch.device(DEVICE))
        packed = [random(1, heads, tokens, width // heads) for _ in range(3)]
        for share in (0.0, 0.1):
            both(
                f"packed flash attention, dropout {share}",
                lambda query, key, value, share=share: flash(query, key, value, None, share, sequences, None, False),
                *packed,
            )
    return found


CATEGORIES = {
    "flash attention": ("flash", "fmha"),
    "products": ("gemm", "cutlass", "cublas", "nvjet", "xmma", "wgmma", "splitk", "s16816", "h16816"),
    "copies to and from": ("memcpy", "memset"),
    "optimiser and clipping": ("adam", "multi_tensor", "foreach", "norm_two", "lpnorm"),
    "layer norm": ("layer_norm", "layernorm", "gammabeta"),
    "dropout": ("dropout", "philox"),
    "gelu": ("gelu",),
    "embedding": ("embedding", "index", "gather", "scatter"),
    "reduce": ("reduce",),
    "casts and copies": ("copy", "cast"),
    "fused by the compiler": ("triton",),
    "concatenation": ("cat",),
    "elementwise": ("elementwise",),
}
"""Kernels by what their names hold; the first that fits."""


def profiled(suite: Suite, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What a training's time is spent on: shares of kernels, and how much of the time the device is busy."""
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if CUDA else [])]
    profiler = profile(activities=activities)
    found = limbeck_training(suite, name, 32, 8, settings, during=profiler)
    averages = profiler.key_averages()
    order = "self_cuda_time_total" if CUDA else "self_cpu_time_total"
    table = suite.output / f"profile-{name}{'-compiled' if settings else ''}.txt"
    table.write_text(averages.table(sort_by=order, row_limit=60, max_name_column_width=110))
    on_device = [each for each in averages if "CUDA" in str(each.device_type)]
    times = [(each.key.lower(), each.self_device_time_total / 1e6) for each in on_device]
    busy, shares = sum(took for _, took in times), dict.fromkeys((*CATEGORIES, "other"), 0.0)
    for kernel, took in times:
        fits = (category for category, words in CATEGORIES.items() if any(word in kernel for word in words))
        shares[next(fits, "other")] += took / busy
    return {
        "table": table.name, "utilisation under the profiler": found["utilisation"], "device busy, s": round(busy, 3),
        "shares": {category: round(share, 3) for category, share in shares.items() if share},
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
