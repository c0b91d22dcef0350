"""The plan of a distillation: what teaches whom, from which queries, for how long; written down before it begins."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import join
from typing import Any

import yaml
from rich.console import Console

from limbeck.collections import Collection, load_collection
from limbeck.collections.beir import write_collection
from limbeck.core.errors import UsageError
from limbeck.core.files import write_json, write_text
from limbeck.core.json_files import read_record
from limbeck.distil import budget, rates
from limbeck.distil.budget import Budget, DistilSettings, Rates
from limbeck.distil.queries import (
    Roles,
    documents_of,
    find_candidates,
    keep_run,
    one_in,
    one_of_test,
    part_of,
    relevant_documents,
    roles_of,
    run_file,
    teachings_of,
    training_names,
)
from limbeck.models.bi_encoder import BiEncoder
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.word_matching import fault_of
from limbeck.runs import Run, rank
from limbeck.teachers import biencoder_scores
from limbeck.training import Backbone

PLAN, STUDY = "plan.json", "study.yaml"
HEADER = "# Written by `limbeck distil`, which trains and measures the student by it; to be changed and run at will.\n"
TEACHER_TOKENS = 96
"""That the teacher reads of a text: its time is what a budget is short of."""

STUDENT_TOKENS = 256
LEARNING_RATE = 6e-4
SCALE = 20.0
BM25_WEIGHT = 1.0
"""Of BM25's scores beside the teacher's in what is taught: a student that matches words can learn both."""

TEACHER, TAUGHT = "teacher", "teacher and BM25"
AGREEMENT = "agreement"
WITH_LABELS, WITHOUT_LABELS = "MarginMSE + InfoNCE", "MarginMSE"
AGREED = 10
"""Passages that the teacher puts first, and that count as relevant where nobody has judged."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What was decided before anything was trained; `plan.json` keeps it, so that the same command goes on with it.

    Attributes:
        train: names of collections whose queries teach; the documents' sentences, if they teach beside others, last.
        valid: of the one whose queries choose, or on which agreement with the teacher is measured.
        test: of the one that tells the truth; None where nobody has judged.
        teacher_tokens: longest text that the teacher reads.
        student: what it starts from.
        parameters: of the student.
    """

    settings: DistilSettings
    roles: Roles
    train: tuple[str, ...]
    valid: str
    test: str | None
    teacher_tokens: int
    student: Backbone
    parameters: int
    rates: Rates
    budget: Budget


def make_plan(collection: str, output: Path, settings: DistilSettings, console: Console) -> Plan:
    """Look at the collection, measure the machine, divide the time; kept in `plan.json` and `study.yaml`.

    Raises:
        UsageError: `output` holds another distillation; the minutes are too few.
        DataError: the first stage finds nothing.
        LimbeckError: what `roles_of` raises; a model cannot be had.
    """
    kept = output / PLAN
    roles = roles_of(collection)
    if kept.exists():
        plan = read_record(kept, Plan, "remove the folder and distil again")
        if (plan.settings, plan.roles) != (settings, roles):
            raise UsageError(
                f"{output}: holds a distillation of {plan.roles.place} with other settings; expected "
                "those, or another --output"
            )
        return plan
    began = time.monotonic()
    held_out = {"valid": roles.valid} | ({"test": roles.test} if roles.test else {})
    runs = find_candidates(held_out, output, settings.depth, console)
    valid = load_collection(roles.valid)
    teacher = BiEncoder.load(settings.teacher)
    teacher = replace(teacher, max_length=min(TEACHER_TOKENS, teacher.max_length))
    backbone = _student(settings)
    found, parameters = _measured(settings, backbone, teacher, valid, runs["valid"], console)
    chosen, test = roles.valid, roles.test
    if test:
        counts = len(valid.query_ids), len(load_collection(test).query_ids)
        share = budget.share_of_test(settings.minutes, found, *counts, settings.depth, len(documents_of(runs)))
        if share > 1:
            test = one_of_test(roles, share)
            runs["test"] = part_of(runs["test"], load_collection(test))
            keep_run(runs["test"], output / run_file("test", test, settings.depth), test, settings.depth)
    else:
        chosen = AGREEMENT
        _write_agreement(valid, runs["valid"], teacher, output / chosen, console)
    train = training_names(roles, settings.minutes, found, console)
    deepest = max(budget.LIST_DEPTHS)
    taught = find_candidates(
        {f"train-{number}": name for number, name in enumerate(train, 1)}, output, deepest, console
    )
    held = documents_of(runs)
    relevant = relevant_documents(train[0]) if roles.kind == "judged" else frozenset()
    divided = budget.divide(
        settings.minutes, found, spent=time.monotonic() - began, queries=len(taught["train-1"]),
        held_out=sum(map(len, runs.values())), depth=settings.depth, held_out_documents=len(held),
        teachings=teachings_of(train, taught, held, relevant),
    )  # fmt: skip
    if len(train) > 1:
        train = (train[0], one_in(train[1], divided.teaching.share)) if divided.teaching.share else train[:1]
        for name in train[1:]:
            cut = part_of(taught["train-2"], load_collection(name))
            keep_run(cut, output / run_file("train-2", name, deepest), name, deepest)
    plan = Plan(
        settings=settings, roles=roles, train=train, valid=chosen, test=test, teacher_tokens=teacher.max_length,
        student=backbone, parameters=parameters, rates=found, budget=divided,
    )  # fmt: skip
    write_text(output / STUDY, study_of(plan))
    write_json(kept, asdict(plan))
    return plan


def _student(settings: DistilSettings) -> Backbone:
    """What the student starts from: a BERT that cannot rank yet gets heads that match words."""
    name = settings.student
    encoder = CrossEncoder.load(name, new_head=True)
    try:
        CrossEncoder.load(name)
        ranks = True
    except UsageError:
        ranks = False
    return Backbone(
        model=name, max_length=min(STUDENT_TOKENS, encoder.max_length), dropout=0.0,
        match_words=not ranks and fault_of(encoder.model, encoder.template) is None,
    )  # fmt: skip


def _measured(
    settings: DistilSettings, backbone: Backbone, teacher: BiEncoder, collection: Collection, run: Run, console: Console
) -> tuple[Rates, int]:
    """This machine's rates, which are also said; and the student's parameters."""
    console.print("this machine's rates, on texts of the collection", highlight=False)
    words_of = collection if backbone.match_words else None
    student = CrossEncoder.load(backbone.model, max_length=backbone.max_length, new_head=True, words_of=words_of)
    found = Rates(
        documents=rates.embedding_rate(teacher, collection, run),
        trained_pairs=rates.training_rate(backbone, collection, run),
        scored_pairs=rates.scoring_rate(student, collection, run, settings.depth),
        ready_pairs=rates.scoring_rate(CrossEncoder.load(settings.reranker), collection, run, settings.depth)
        if settings.reranker else None,
    )  # fmt: skip
    ready = f", {found.ready_pairs:,.1f} by the ready re-ranker" if found.ready_pairs else ""
    console.print(
        f"in a second: {found.documents:,.1f} documents embedded, {found.trained_pairs:,.1f} pairs trained on, "
        f"{found.scored_pairs:,.1f} scored{ready}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    return found, student.parameters


def study_of(plan: Plan) -> str:
    """The study file: one student, tested on the queries that choose and on those that tell the truth."""
    tests = [plan.valid, *([plan.test] if plan.test else [])]
    runs = {
        AGREEMENT if name == plan.roles.valid and not plan.test else name: str(run_file(key, name, depth))
        for key, name, depth in _retrieved(plan)
    }
    stages, lists = _stages(plan)
    teacher = {"biencoder": plan.settings.teacher, "scale": SCALE, "max_length": plan.teacher_tokens}
    student = {"model": plan.student.model, "max_length": plan.student.max_length, "dropout": 0}
    student |= {"match_words": True} if plan.student.match_words else {}
    study = {
        "name": "distil",
        "collections": {"train": list(plan.train), "test": tests},
        "first_stages": {"candidates": {"runs": runs}},
        "teachers": {TEACHER: teacher, TAUGHT: {**teacher, "run_weight": BM25_WEIGHT}},
        "backbones": {"student": student},
        "lists": lists,
        "recipes": {"Distilled": stages},
        "seeds": [plan.settings.seed],
        "optimizer": {"warmup": 0.1, "clip": 1.0, "weight_decay": 0.01},
        "evaluation": {"first_stage": "candidates", "depth": plan.settings.depth, "measures": ["nDCG@10", "RR@10"]},
    }  # fmt: skip
    return HEADER + yaml.safe_dump(study, sort_keys=False, allow_unicode=True)


def _stages(plan: Plan) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Stages of the recipe, and the list source of each: the sentences first, then what is asked of the collection."""
    judged = plan.roles.kind == "judged"
    any_passages = {"size": budget.LIST_SIZE}
    own, *sentences = plan.train
    parts = [("sentences", name, plan.budget.sentence_pairs, WITHOUT_LABELS, any_passages) for name in sentences]
    with_labels = (WITH_LABELS, budget.SAMPLE) if judged else (WITHOUT_LABELS, any_passages)
    parts.append(("queries", own, plan.budget.query_pairs, *with_labels))
    stages, lists = [], {}
    for source, name, pairs, objective, sample in parts:
        lists[source] = {
            "format": "run", "collections": [name], "first_stage": "candidates", "depth": plan.budget.teaching.depth,
            "teacher": TAUGHT, **({"labels": "qrels"} if sample is budget.SAMPLE else {}), "sample": sample,
        }  # fmt: skip
        stages.append({
            "objective": objective, "lists": source, "pairs": pairs, "lists_per_step": budget.LISTS_PER_STEP,
            "learning_rate": LEARNING_RATE,
        })  # fmt: skip
    return stages, lists


def _retrieved(plan: Plan) -> list[tuple[str, str, int]]:
    """(key, collection, depth) of all candidates that BM25 finds."""
    depth = plan.settings.depth
    held_out = [("valid", plan.roles.valid, depth), *([("test", plan.test, depth)] if plan.test else [])]
    return held_out + [(f"train-{n}", name, max(budget.LIST_DEPTHS)) for n, name in enumerate(plan.train, 1)]


def _write_agreement(collection: Collection, run: Run, teacher: BiEncoder, folder: Path, console: Console) -> None:
    """The held-out queries as a collection whose judgments are the teacher's first ten: of no more than agreement."""
    scores = biencoder_scores(teacher, collection, run, console=console)
    qrels = {}
    for query_id, found in scores.items():
        order = rank(run[query_id].docids, found).docids[:AGREED]
        qrels[query_id] = {docid: AGREED - place for place, docid in enumerate(order)}
    queries = {query_id: collection.queries[query_id] for query_id in qrels}
    write_collection(folder, collection.documents, queries, qrels, {"judged_by": teacher.name, "first": AGREED})


def announce(plan: Plan, output: Path, console: Console) -> None:
    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    divided, settings = plan.budget, plan.settings
    own, *sentences = plan.train
    objective = WITH_LABELS if plan.roles.kind == "judged" else WITHOUT_LABELS
    say(f"teaches: {settings.teacher}, the first {plan.teacher_tokens} tokens of a text; each is embedded once")
    say("         BM25's scores are added to its own")
    say(
        f"learns:  {settings.student}, {plan.parameters / 1e6:.1f} M weights, {divided.pairs:,} pairs of at most "
        f"{plan.student.max_length} tokens, fp32"
    )
    if plan.student.match_words:
        say("         it begins with heads of attention that match words by their idf, as BM25 does")
    for name in sentences:
        say(f"first:   {divided.sentence_pairs:,} pairs of sentences ({name}), {WITHOUT_LABELS}")
    then = "then:   " if sentences else "from:   "
    say(f"{then} {divided.query_pairs:,} pairs of {own}, {objective}")
    say(f"         of each query BM25's first {divided.teaching.depth}")
    if plan.test:
        say(f"chosen on {plan.valid}, the truth on {plan.test}")
    else:
        say(f"no judgments: agreement with the teacher is measured on {plan.roles.valid}")
    for part in divided.parts:
        say(f"  {part.seconds / 60:6.1f} min  {part.what}: {part.why}")
    say(f"  {sum(part.seconds for part in divided.parts) / 60:6.1f} min  in all")
    say("the same by hand:")
    for command in commands_of(plan, output):
        say(f"  {command}")


def commands_of(plan: Plan, output: Path) -> list[str]:
    """The verbs that do the same."""
    found = [
        ["limbeck", "retrieve", "bm25", "--collection", name, "--depth", str(depth), "--output",
         str(output / run_file(key, name, depth))]
        for key, name, depth in _retrieved(plan)
    ]  # fmt: skip
    found.append(["limbeck", "study", "run", str(output / STUDY), "--output", str(output / "study")])
    return [join(words) for words in found]
