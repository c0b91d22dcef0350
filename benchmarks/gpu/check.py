"""Is what limbeck computes on this device right? Each part compares it with plain transformers, or with itself.

    python benchmarks/gpu/check.py [--only NAME…] [--seconds 270]

bf16 is held to 1.5 times what transformers' own bf16 is off from float64 (small models) or fp32 (base size).
"""

import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from safetensors.torch import load_file
from suite import (
    CUDA,
    DEVICE,
    FAMILIES,
    PACKED,
    PRECISION,
    NotHere,
    Suite,
    Text,
    make_model,
    need_cuda,
    need_package,
    pairs_of,
    relative,
    texts,
)

from limbeck.cli.app import app
from limbeck.collections import Collection
from limbeck.core.devices import autocast, free_memory
from limbeck.lists import Lists, write_lists
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import parse
from limbeck.training import Backbone, Settings, Stage, TrainingPlan, loop, train
from limbeck.training.step import AsyncScalars, StepResult, backward, read_step

Gradients = Mapping[str, torch.Tensor]
ROOT = Path(__file__).parents[2]
OWN_TESTS = ("tests/training/test_cuda.py", "tests/training/test_no_waiting.py", "tests/kernels")


def main() -> int:
    """Run all parts, in order of worth."""
    suite = Suite("check", __doc__)
    torch.backends.cuda.matmul.allow_tf32 = False  # the references are plain fp32
    count = 8 if suite.tiny else 48
    for name in FAMILIES:
        suite(f"family {name}", family, suite, name, "small", count)
    suite("family modernbert, mean pooling", family, suite, "modernbert", "small", count, classifier_pooling="mean")
    odd = {"hidden_size": 60, "num_attention_heads": 5}
    suite("family bert, heads of 12 values", family, suite, "bert", "small", count, **odd)
    suite("ties", ties, suite)
    for name, packed in (("bert", True), ("modernbert", True), ("bert", False), ("deberta-v3", False)):
        suite(f"waits {name} {'packed' if packed else 'padded'}", waits, suite, name, packed)
    for name in suite.ways("bert", "modernbert", "mpnet", "deberta-v3"):
        for precision in dict.fromkeys(("fp32", PRECISION)):
            suite(f"replay {name} {precision}", replay, suite, name, precision)
    suite("replay bert fp16", replay, suite, "bert", "fp16")
    suite("replay bert without dropout", replay, suite, "bert", PRECISION, dropout=0.0)
    suite("overflow", overflow, suite)
    for name in suite.ways(*PACKED):
        suite(f"neighbours {name}", neighbours, suite, name)
    suite("flash attention with dropout", flash_with_dropout)
    suite("command line", command_line, suite, needs=30)
    trainings = [("bert", PRECISION, True), ("bert", PRECISION, False), ("bert", "fp32", True)]
    trainings = list(dict.fromkeys([*trainings, ("modernbert", PRECISION, True)]))
    for name, precision, deterministic in suite.ways(*trainings):
        suite(
            f"resume {name} {precision}{', deterministic' if deterministic else ''}",
            resume, suite, name, precision, deterministic,
        )  # fmt: skip
    if not suite.tiny:
        for name in ("bert", "modernbert", "deberta-v3", "mpnet", "roberta"):
            shape = "modernbert-base" if name == "modernbert" else "base"
            suite(f"family {name} base", family, suite, name, shape, 32)
    shape, tokens, passages = ("small", 64, 12) if suite.tiny else ("base", 512, 100)
    suite("budgets", budgets, suite, shape, tokens)
    for precision in dict.fromkeys((PRECISION, "fp32")):
        suite(f"long list bert {precision}", long_list, suite, "bert", shape, precision, tokens, passages)
    if not suite.tiny:
        suite("long list modernbert", long_list, suite, "modernbert", "modernbert-base", PRECISION, tokens, passages)
        suite("long list deberta-v3", long_list, suite, "deberta-v3", "base", PRECISION, tokens, passages)
    suite("own tests", own_tests, needs=40)
    suite("compiled bert, 12 layers", compiled, suite, "bert", 12, needs=60)
    suite("compiled modernbert, 22 layers", compiled, suite, "modernbert", 22, needs=60)
    suite("replay bert compiled", compiled_replay, suite, needs=60)
    return suite.end()


def family(suite: Suite, name: str, shape: str, count: int, **changes: Any) -> dict[str, Any]:
    """Scores and gradients of every path beside those of plain transformers."""
    folder, pairs = make_model(suite, name, shape, **changes), pairs_of(count, 30 if shape == "small" else 60)
    exact = torch.float64 if shape == "small" else torch.float32
    reader = loaded(folder, device="cpu")
    source, query_rows, passage_rows = reader.stored(pairs)
    batch = {key: tensor.to(DEVICE) for key, tensor in source.batch(query_rows, passage_rows).items()}
    expected = plain_transformers(folder, batch, exact, "fp32")
    yard = off(plain_transformers(folder, batch, torch.float32, "bf16"), expected)
    found: dict[str, Any] = {"spread": float(expected[0].std()), "transformers bf16": yard}
    wrong = []
    times = 4 if suite.tiny else 1.5  # few pairs spread too little to tell more
    for packed in suite.ways(True, False) if name in PACKED else (False,):
        encoder = loaded(folder, dropout=0.0, packed=packed)
        for precision in ("fp32", "bf16"):
            # fp32: its own rounding.
            limits = (1e-4, 2e-4) if precision == "fp32" else (times * yard[0] + 2e-3, times * yard[1] + 5e-3)
            label = f"{precision} {'packed' if packed else 'padded'}"
            found[label] = off(scores_and_gradients(encoder, pairs, precision), expected)
            found[f"{label} path"] = encoder.attention(precision)
            wrong += [
                f"{label}: {what} off by {distance:.2e}, expected ≤ {limit:.2e}"
                for what, distance, limit in zip(("scores", "gradients"), found[label], limits, strict=True)
                if not distance <= limit
            ]
    assert not wrong, f"{'; '.join(wrong)} in {json.dumps(found)}"
    return found


def loaded(folder: Path, device: str = DEVICE, **options: Any) -> CrossEncoder:
    """The encoder of a folder, on this device unless another is named."""
    return CrossEncoder.load(folder, device=device, max_length=512 if "base" in folder.name else 256, **options)


def loss_weights(count: int) -> torch.Tensor:
    """The loss is the mean of score × one of these."""
    return torch.randn(count, generator=torch.Generator().manual_seed(11), dtype=torch.float64) + 0.5


def plain_transformers(
    folder: Path, batch: dict[str, torch.Tensor], dtype: torch.dtype, precision: str
) -> tuple[torch.Tensor, Gradients]:
    """Scores and gradients of transformers alone, of padded pairs."""
    model = tf.AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype).to(DEVICE).eval()
    with autocast(torch.device(DEVICE), precision):
        scores = model(**batch).logits[:, 0].to(torch.promote_types(dtype, torch.float32))
    (scores * loss_weights(len(scores)).to(scores)).mean().backward()
    return scores.detach(), gradients_of(model)


def scores_and_gradients(encoder: CrossEncoder, pairs: list[Text], precision: str) -> tuple[torch.Tensor, Gradients]:
    """The same of limbeck, in one micro-batch, without dropout."""
    source, query_rows, passage_rows = encoder.stored(pairs)
    encoder.model.zero_grad(set_to_none=True)
    with autocast(encoder.device, precision):
        scores = encoder.logits(source, query_rows, passage_rows)
    (scores * loss_weights(len(scores)).to(scores)).mean().backward()
    return scores.detach(), gradients_of(encoder.model)


def gradients_of(model: torch.nn.Module) -> Gradients:
    """Copies of a model's gradients."""
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def off(found: tuple[torch.Tensor, Gradients], expected: tuple[torch.Tensor, Gradients]) -> tuple[float, float]:
    """How far scores are off, beside their spread (not beside what they have in common), and gradients."""
    scores, reference = found[0].double().cpu(), expected[0].double().cpu()
    return relative(scores - reference.mean(), reference - reference.mean()), apart(found[1], expected[1])


def apart(found: Gradients, expected: Gradients) -> float:
    """How far all tensors together are off."""
    absent = sorted(set(expected) - set(found))
    assert not absent, f"nothing for {absent[:3]}"

    def flat(tensors: Gradients) -> torch.Tensor:
        return torch.cat([tensors[name].double().flatten().cpu() for name in sorted(expected)])

    return relative(flat(found), flat(expected))


def ties(suite: Suite) -> dict[str, Any]:
    """The head is computed in fp32: scores in bf16 tie no more often than in fp32."""
    encoder = loaded(make_model(suite, "bert", dropout=0.0))
    pairs = pairs_of(100)
    distinct = {precision: len(set(encoder.score(pairs, precision).tolist())) for precision in ("fp32", "bf16")}
    assert distinct["bf16"] >= distinct["fp32"] - 1, distinct
    return {"distinct of 100": distinct}


def waits(suite: Suite, name: str, packed: bool) -> dict[str, Any]:
    """Where a step asks the device for a number: each such place waits for all work before it."""
    need_cuda()
    encoder = loaded(make_model(suite, name), packed=packed)
    encoder.model.train()
    optimizer = torch.optim.AdamW(encoder.model.parameters(), lr=1e-5, fused=True)
    places: dict[str, int] = {}
    for step in range(3):
        torch.cuda.set_sync_debug_mode("warn" if step == 2 else "default")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = one_step(encoder, pairs_of(64), (step,), PRECISION, kept=1)
            torch.nn.utils.clip_grad_norm_(encoder.model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            readings = AsyncScalars([result.loss])
        for warning in caught:
            if "synchroniz" in str(warning.message).lower():
                place = f"{'/'.join(Path(warning.filename).parts[-3:])}:{warning.lineno}"
                places[place] = places.get(place, 0) + 1
    torch.cuda.set_sync_debug_mode("default")
    assert np.isfinite(readings.read()[0])
    assert not (packed and places), places
    return {"micro-batches": result.micro_batches, "waits at": places}


def one_step(encoder: CrossEncoder, pairs: list[Text], seed: tuple[int, ...], precision: str, kept: int) -> StepResult:
    """A backward pass over lists of four pairs in micro-batches of 512 tokens; `kept`: tokens whose graphs are kept."""

    def loss_of(scores: torch.Tensor) -> torch.Tensor:
        return -scores.view(-1, 4).log_softmax(1)[:, 0].mean()

    step = read_step(encoder, *encoder.stored(pairs), token_budget=512)
    return backward(encoder, step, loss_of, seed, precision, max_tokens_without_grad_cache=kept)


def replay(suite: Suite, name: str, precision: str, dropout: float = 0.1, compiled: bool = False) -> dict[str, Any]:
    """A replay draws the dropout that the first pass drew: one pass and a replay give equal scores and gradients."""
    encoder, pairs = loaded(make_model(suite, name, dropout=dropout), compiled=compiled), pairs_of(64)
    if precision == "fp16":
        need_cuda()
    encoder.model.train()
    results, gradients = [], []
    for seed, kept in ((2, 10**9), (2, 1), (2, 10**9), (3, 10**9)):
        encoder.model.zero_grad(set_to_none=True)
        results.append(one_step(encoder, pairs, (1, seed), precision, kept))
        gradients.append(gradients_of(encoder.model))
    single, replayed, again, other = results
    assert single.single_pass
    assert not replayed.single_pass
    assert replayed.micro_batches > 2
    found = {
        "micro-batches": replayed.micro_batches,
        "scores": relative(replayed.scores, single.scores),
        "gradients": apart(gradients[1], gradients[0]),
        "gradients of the same again": apart(gradients[2], gradients[0]),
        "equal bits": torch.equal(again.scores, single.scores),
        "scores by another seed": relative(other.scores, single.scores),
    }
    limit = 1e-5 if precision == "fp32" else 2e-2
    assert max(found["scores"], found["gradients"]) <= limit, f"the replay draws other dropout: {found}"
    assert not dropout or found["scores by another seed"] > 1e-3, f"another seed draws the same: {found}"
    return found


def compiled_replay(suite: Suite) -> dict[str, Any]:
    """The same where layers are compiled."""
    need_cuda()
    return replay(suite, "bert", PRECISION, compiled=True)


def overflow(suite: Suite) -> dict[str, Any]:
    """In fp16, gradients beyond what it holds come out as in fp32: micro-batches are replayed on a smaller scale."""
    need_cuda()
    encoder, pairs = loaded(make_model(suite, "bert", dropout=0.0)), pairs_of(16)
    with torch.no_grad():
        encoder.model.classifier.weight.mul_(3e4)
    gradients = {}
    for precision in ("fp32", "fp16"):
        encoder.model.zero_grad(set_to_none=True)
        one_step(encoder, pairs, (1,), precision, 10**9)
        gradients[precision] = gradients_of(encoder.model)
    assert all(bool(each.isfinite().all()) for each in gradients["fp16"].values())
    return {"gradients beside fp32": apart(gradients["fp16"], gradients["fp32"])}


def neighbours(suite: Suite, name: str) -> dict[str, Any]:
    """A pair's score depends on what is packed beside it no more than by rounding."""
    encoder = loaded(make_model(suite, name, dropout=0.0), packed=True)
    source, query_rows, passage_rows = encoder.stored(pairs_of(24))
    with torch.inference_mode(), autocast(encoder.device, "bf16"):
        together = encoder.logits(source, query_rows, passage_rows)
        alone = [encoder.logits(source, query_rows[i : i + 1], passage_rows[i : i + 1]) for i in range(24)]
    distance = relative(together, torch.cat(alone))
    assert distance < 2e-2, distance
    return {"distance": distance, "equal bits": torch.equal(together, torch.cat(alone))}


def flash_with_dropout() -> dict[str, Any]:
    """torch's flash attention over packed rows drops a share at random, from a seed, and is right on average."""
    need_cuda()
    query, key, value = (
        torch.randn(300, 12, 64, device=DEVICE, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)
    )
    bounds = torch.tensor([0, 100, 180, 300], device=DEVICE, dtype=torch.int32)

    def run(seed: int, share: float) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(seed)
        options = (bounds, bounds, 120, 120, share, False, False)
        out = torch.ops.aten._flash_attention_forward(query, key, value, *options)[0]
        return out, torch.autograd.grad(out.float().square().sum(), query)[0]

    (first, slope), (again, slope_again), (other, _), (whole, _) = run(1, 0.1), run(1, 0.1), run(2, 0.1), run(1, 0.0)
    mean = torch.stack([run(seed, 0.1)[0] for seed in range(200)]).float().mean(0)
    found = {
        "same seed, equal bits": torch.equal(first, again), "its gradient": relative(slope_again, slope),
        "another seed": relative(other, first), "mean of 200 beside none": relative(mean, whole.float()),
    }  # fmt: skip
    assert found["same seed, equal bits"], found
    assert found["another seed"] > 0.05, found
    assert found["mean of 200 beside none"] < 0.1, found
    return found


def some_lists(count: int, width: int) -> tuple[Collection, Lists]:
    """Texts, and lists of them with every signal."""
    queries = {f"q{number}": text for number, text in enumerate(texts(count, 5, 5, longest=16))}
    documents = {f"d{number}": text for number, text in enumerate(texts(count * width, 30, 6))}
    lists = Lists(
        list(queries), [[f"d{query * width + place}" for place in range(width)] for query in range(count)],
        labels=[np.eye(1, width, 0, dtype=np.float32)[0]] * count,
        teacher_order=[np.arange(width, 0, -1, dtype=np.float32)] * count,
    )  # fmt: skip
    return Collection("suite", documents, queries, {}, tuple(queries)), lists


def resume(suite: Suite, name: str, precision: str, deterministic: bool) -> dict[str, Any]:
    """Trained twice, and once with a stop in the middle: the same bytes where `deterministic` asks for it."""
    collection, lists = some_lists(16, 8)
    objective, steps = parse("RankNet + 0.1*InfoNCE"), 4 if suite.tiny else 12
    plan = TrainingPlan(
        backbone=Backbone(model=str(make_model(suite, name)), max_length=128),
        stages=(Stage(objective=objective, lists=lists, steps=steps, lists_per_step=4, learning_rate=1e-3),),
        collection=collection,
        settings=Settings(
            precision=precision, token_budget=512, max_tokens_without_grad_cache=600, checkpoint_every=steps // 2,
            deterministic=deterministic,
        ),
    )  # fmt: skip
    outputs = [suite.folder / f"resume-{name}-{precision}-{deterministic}-{number}" for number in range(3)]
    for output in outputs[:2]:
        train(plan, output)
    taken = loop._Training._step

    def broken_off(training: Any) -> None:
        if training.state.step == steps // 2 + 1:  # what the last checkpoint does not hold is done again
            raise InterruptedError
        taken(training)

    loop._Training._step = broken_off
    try:
        train(plan, outputs[2])
    except InterruptedError:
        pass
    finally:
        loop._Training._step = taken
    train(plan, outputs[2])
    first, again, resumed = (load_file(output / "model" / "model.safetensors") for output in outputs)
    found = {"two trainings": apart(again, first), "resumed": apart(resumed, first)}
    equal = all(torch.equal(first[name], other[name]) for name in first for other in (again, resumed))
    assert max(found.values()) < 1e-2, found
    assert equal or not deterministic, f"not byte-equal, though deterministic: {found}"
    return found | {"equal bytes": equal}


def command_line(suite: Suite) -> dict[str, Any]:
    """`limbeck train`, `rerank` and `evaluate` as a user types them; the model in sentence-transformers."""
    folder, count, width = suite.folder / "beir", 12, 10
    collection, lists = some_lists(count, width)
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for file, entries in (("corpus", collection.documents), ("queries", collection.queries)):
        lines = [json.dumps({"_id": name, "text": text}) + "\n" for name, text in entries.items()]
        (folder / f"{file}.jsonl").write_text("".join(lines))
    qrels = [f"{query}\t{ids[0]}\t1\n" for query, ids in zip(lists.query_ids, lists.passage_ids, strict=True)]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(qrels))
    run, signals = suite.folder / "first.run", suite.folder / "lists.parquet"
    run.write_text(
        "".join(
            f"{query} Q0 {docid} {rank} {width - rank} first\n"
            for query, ids in zip(lists.query_ids, lists.passage_ids, strict=True)
            for rank, docid in enumerate(ids, 1)
        )
    )
    write_lists(lists, signals)
    model, tested, found = make_model(suite, "bert"), f"{folder}/test", {}

    def limbeck(*words: object) -> None:
        app([str(word) for word in words], standalone_mode=False)

    for number, precision in enumerate(suite.ways(*dict.fromkeys(("auto", PRECISION, "fp32")))):
        output = suite.folder / f"trained-{number}"
        limbeck(
            "train", "--backbone", model, "--objective", "RankNet", "--lists", signals, "--collection", tested,
            "--output", output, "--steps", 4, "--lists-per-step", 4, "--max-length", 64, "--precision", precision,
            "--validation-collection", tested, "--validation-run", run, "--validation-every", 2,
        )  # fmt: skip
        summary = json.loads((output / "summary.json").read_text())
        assert summary["device"].startswith(DEVICE), summary["device"]
        found[precision] = {key: summary[key] for key in ("attention", "single_pass_steps", "best_value")}
    trained, ranked = suite.folder / "trained-0" / "model", suite.folder / "ranked.run"
    limbeck("rerank", "--model", trained, "--run", run, "--collection", tested, "--output", ranked)
    limbeck("evaluate", "--collection", tested, ranked, run)
    need_package("sentence_transformers")
    from sentence_transformers import CrossEncoder as Peer

    documents = list(collection.documents.values())[:2]
    some = [(query, document) for query in collection.queries.values() for document in documents]
    peer = Peer(str(trained), device=DEVICE, activation_fn=torch.nn.Identity()).predict(some)
    ours = CrossEncoder.load(trained, device=DEVICE).score(some)
    found["beside sentence-transformers"] = float(np.abs(peer - ours).max())
    assert found["beside sentence-transformers"] < 1e-4, found
    return found


def budgets(suite: Suite, shape: str, tokens: int) -> dict[str, Any]:
    """Micro-batches that limbeck sizes by free memory fit, and the estimate behind them is not far off."""
    encoder = loaded(make_model(suite, "bert", shape))
    micro_batch, graphs = encoder.training_tokens(PRECISION)
    found: dict[str, Any] = {"micro-batch": micro_batch, "graphs kept": graphs}
    if CUDA:
        encoder.model.train()
        free = free_memory(encoder.device)
        count = micro_batch // tokens
        pairs = [("w1 w2 w3", text) for text in texts(count, 2 * tokens, 4, spread=0.01, longest=3 * tokens)]
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        scores_and_gradients(encoder, pairs, PRECISION)
        found["bytes of a token's graph"] = (torch.cuda.max_memory_allocated() - before) / (count * tokens)
        found["share of what was free"] = (torch.cuda.max_memory_allocated() - before) / (free or 1)
        assert found["share of what was free"] < 0.9, found
    return found


def long_list(suite: Suite, name: str, shape: str, precision: str, tokens: int, count: int) -> dict[str, Any]:
    """Peak memory of an ADR-MSE step over one list of `count` passages of `tokens` tokens, in little memory."""
    encoder = loaded(make_model(suite, name, shape))
    encoder.model.train()
    pairs = [("w1 w2 w3", text) for text in texts(count, 2 * tokens, 4, spread=0.01, longest=3 * tokens)]
    source, query_rows, passage_rows = encoder.stored(pairs)
    objective, mask = parse("ADR-MSE"), torch.ones(1, count, dtype=torch.bool, device=DEVICE)
    targets = {"teacher_order": torch.arange(count, 0, -1.0, device=DEVICE)[None]}
    optimizer = torch.optim.AdamW(encoder.model.parameters(), lr=1e-5, fused=True)
    if CUDA:
        torch.cuda.reset_peak_memory_stats()
    for number in range(2):
        step = read_step(encoder, source, query_rows, passage_rows, token_budget=8192 if CUDA else 256)
        result = backward(
            encoder, step, lambda scores: objective(scores[None], targets, mask), (number,), precision,
            max_tokens_without_grad_cache=1,
        )  # fmt: skip
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    assert np.isfinite(float(result.loss))
    peak = {"peak GiB": torch.cuda.max_memory_allocated() / 2**30} if CUDA else {}
    return peak | {"tokens": result.tokens, "micro-batches": result.micro_batches}


def own_tests() -> dict[str, Any]:
    """limbeck's own tests that want CUDA, or take other ways where it is."""
    need_cuda()
    need_package("pytest")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *OWN_TESTS],
        capture_output=True, text=True, timeout=300, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-800:]
    return {"pytest": done.stdout.strip().splitlines()[-1]}


def compiled(suite: Suite, name: str, layers: int) -> dict[str, Any]:
    """Compiled layers give the same scores and gradients, without breaks, once for all lengths."""
    need_cuda()
    need_compiler()
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    folder = make_model(suite, name, dropout=0.0, num_hidden_layers=layers)
    encoders = [loaded(folder, packed=True, compiled=compiled) for compiled in (False, True)]
    pairs, worst, graphs = pairs_of(48), 0.0, []
    for part in (slice(0, 8), slice(8, 20), slice(20, 40), slice(0, 48), slice(3, 17), slice(5, 6), slice(30, 33)):
        own, other = (scores_and_gradients(encoder, pairs[part], PRECISION) for encoder in encoders)
        worst = max(worst, relative(other[0], own[0]), apart(other[1], own[1]))
        graphs.append(counters["stats"]["unique_graphs"])
    found = {"worst": worst, "graphs after each length": graphs, "breaks": dict(counters["graph_break"])}
    assert worst < 5e-2, found
    assert not found["breaks"], found
    assert graphs[-1] <= graphs[1], f"compiles again for new lengths: {found}"
    return found


def need_compiler() -> None:
    """torch.compile wants one."""
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        raise NotHere("wants a C compiler")


if __name__ == "__main__":
    sys.exit(main())
