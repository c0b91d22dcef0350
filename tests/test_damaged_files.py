"""Whatever a file holds, its reader gives what it promises or one clear error: no traceback, no hang, no blow-up.

3,500 mutated files in `make test`; LIMBECK_FUZZ=100 makes a hundred times as many, from other seeds.
"""

import gzip
import json
import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limbeck.collections import load_collection, load_qrels
from limbeck.collections.text_files import START
from limbeck.core.errors import LimbeckError, printable
from limbeck.core.schema import read_section, read_text
from limbeck.core.yaml_file import read_yaml
from limbeck.lists import read_lists
from limbeck.lists.formats import find_format
from limbeck.models.sentence_transformers import read_sentence_layout, read_splade_layout
from limbeck.models.sources import resolve
from limbeck.runs import read_run
from limbeck.study.config.study import parse_study
from limbeck.study.run.store import Store
from limbeck.teachers.journal import read_journal
from limbeck.training.config import Recipe
from limbeck.training.log import read_log
from limbeck.training.summary import read_summary

TIMES = int(os.environ.get("LIMBECK_FUZZ", "1"))
SECONDS = 30  # of this process for one file, of which none has a kilobyte: a hang
GIBIBYTES = 2  # that all files together may add to this process

CORPUS = '{"_id": "d1", "title": "Stills", "text": "copper pots"}\n{"_id": "d2", "title": "", "text": "glass é 面包"}\n'
QUERIES = '{"_id": "q1", "text": "what is a still"}\n{"_id": "q2", "text": "glass?"}\n'
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t0\n"
FOLDER = {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "qrels/test.tsv": QRELS}
RUN = "q1 Q0 d1 1 12.5 bm25\nq1 Q0 d2 2 -1e-3 bm25\nq2\tQ0\td2\t1\t3\tbm25\n"
STUDY = """name: tiny
collections: {train: mini/train, test: [mini/test]}
backbones: {bert: &b {model: google/electra-base-discriminator, max_length: 20, learning_rate: 1e-3}}
lists: {judged: {format: run, first_stage: bm25, depth: 10, labels: qrels, sample: {positives: 1, negatives: 2}}}
recipes: {BCE: [{objective: BCE, lists: judged, steps: 2, lists_per_step: 2}]}
seeds: 1
evaluation: {first_stage: bm25, depth: 10, measures: [nDCG@10]}
"""
RECIPE = """collection: mini/train
backbone: {model: ./bert, max_length: 20}
stages: [{objective: RankNet + 0.1*InfoNCE, lists: a.parquet, steps: 3, lists_per_step: 2, learning_rate: 1e-5}]
"""
SUMMARY = json.dumps(
    {
        "steps": 3, "best_step": 2, "best_value": 0.5, "measure": "AP", "pairs": 24, "tokens": 90, "padding": 0.1,
        "cut_pairs": 0, "single_pass_steps": 3, "seconds": 1.5, "parameters": 9, "layers": 1, "model": "bert",
        "model_sha256": None, "precision": "fp32", "attention": "padded", "device": "cpu", "processes": 1, "seed": 1,
        "stages": [{"objective": "BCE", "steps": 3, "lists": 2, "usable_lists": 2, "skipped": {"x": 1}, "pairs": 24,
                    "tokens": 90, "computed_tokens": 99}],
    }
)  # fmt: skip
LOG = '{"kind": "step", "step": 1, "loss": 0.5}\n{"kind": "validation", "step": 1, "values": {"a": 0.25}}\n'
COLLECTION = {"name": "t", "place": "demo/test", "fingerprint": "0f", "documents": 3, "queries": 2}
INDEX = json.dumps(
    {
        "name": "tiny", "created": "2026", "limbeck_version": "0.1.0", "measures": ["AP"], "collections": [COLLECTION],
        "training": [COLLECTION], "validation": {"collections": [COLLECTION]}, "facts": {}, "leaks": [], "teachers": [],
        "first_stage": {"name": "bm25", "description": "BM25", "depth": 10, "evaluations": {"t": "k"}},
        "backbones": [{"name": "bert", "model": "bert", "layers": None}],
        "recipes": [{"name": "BCE", "stages": [{"objective": "BCE", "lists": "judged", "steps": 2}]}],
        "cells": [{"id": "ab", "backbone": "bert", "recipe": "BCE", "seed": 1, "steps": 2, "evaluations": {"t": "k"}}],
        "warnings": [],
    }
)  # fmt: skip
HITS = {"query": {"qid": 1, "text": "w"}, "candidates": [{"docid": "2", "score": 1.5, "doc": {"segment": "x"}}]}
TEXTS = {"query": "what boils", "pos": ["Water boils."], "neg": ["Iron melts."], "pos_scores": [1.5], "neg_scores": [1]}
HARD = {"qid": 1, "pos": [2], "neg": {"bm25": [3, 4], "msmarco-MiniLM": [5]}}
LAYOUT = {
    "config.json": '{"model_type": "bert", "hidden_size": 32, "architectures": ["BertModel"], "vocab_size": 30}',
    "modules.json": '[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},'
    ' {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]',
    "sentence_bert_config.json": '{"max_seq_length": 128, "do_lower_case": false}',
    "config_sentence_transformers.json": '{"prompts": {"query": "q: "}, "default_prompt_name": null}',
    "1_Pooling/config.json": '{"word_embedding_dimension": 32, "pooling_mode_mean_tokens": true}',
}


class Reader(NamedTuple):
    """A file to be mutated, its name, the files beside it, and what reads the folder or the file."""

    file: str
    content: str | bytes
    beside: dict[str, str]
    read: Callable[[Path], Any]


def _format(name: str) -> Callable[[Path], Any]:
    return lambda path: list(find_format(name).read(path, START))


def _collection(path: Path) -> Any:
    folder = path.parent if path.parent.name != "qrels" else path.parent.parent
    return load_collection(str(folder))


def _layout(path: Path) -> Any:
    folder = path.parent if path.parent.name != "1_Pooling" else path.parent.parent
    with suppress(LimbeckError):
        read_splade_layout(resolve(str(folder)))
    return read_sentence_layout(resolve(str(folder)))


def _journal(path: Path) -> Any:
    return list(read_journal(path))


def _study(path: Path) -> Any:
    return parse_study(read_text(path), path, with_files=False)


def _parquet(columns: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


def _tables(qrels: str = "qrels/test.tsv") -> dict[str, str]:
    return {"corpus.tsv": "docno\ttext\nd1\tcopper\nd2\tglass\n", "queries.tsv": "q1\twhat\nq2\twhy\n", qrels: QRELS}


def _without(files: dict[str, str], name: str) -> dict[str, str]:
    return {other: text for other, text in files.items() if other != name}


LABELS = pa.array([[1.0, 0.0]], pa.list_(pa.float32()))
LISTS = _parquet({"query_id": ["q1"], "passage_ids": [["d1", "d2"]], "labels": LABELS})

READERS = {
    "corpus.jsonl": Reader("corpus.jsonl", CORPUS, FOLDER, _collection),
    "corpus as an array": Reader("corpus.jsonl", "[" + CORPUS.strip().replace("\n", ",\n") + "]", FOLDER, _collection),
    "queries.jsonl": Reader("queries.jsonl", QUERIES, FOLDER, _collection),
    "corpus.tsv": Reader("corpus.tsv", _tables()["corpus.tsv"], _tables(), _collection),
    "queries.tsv": Reader("queries.tsv", _tables()["queries.tsv"], _tables(), _collection),
    "qrels of a collection": Reader("qrels/test.tsv", QRELS, FOLDER, _collection),
    "limbeck.json": Reader("limbeck.json", '{"relevance_level": 2, "drop_query_document": true}', FOLDER, _collection),
    "qrels, BEIR": Reader("x.tsv", QRELS, {}, load_qrels),
    "qrels, TREC": Reader("x.qrels", "q1 0 d1 2\nq1 0 d2 -1\nq2\t0\td2\t1.0\n", {}, load_qrels),
    "qrels, gzip": Reader("x.tsv.gz", gzip.compress(QRELS.encode(), mtime=0), {}, load_qrels),
    "run": Reader("x.run", RUN, {}, read_run),
    "run, gzip": Reader("x.run.gz", gzip.compress(RUN.encode(), mtime=0), {}, read_run),
    "colbertv2": Reader("x.json", '[184, [706, 3.5], [88, -1.25]]\n["185", ["1", 0]]\n', {}, _format("colbertv2")),
    "flagembedding": Reader("x.jsonl", json.dumps(TEXTS) + "\n", {}, _format("flagembedding")),
    "hofstaetter": Reader("x.tsv", "10.5\t-3.25\t4\t15\t35\n9\t8.5\t6\t1\t2\n", {}, _format("hofstaetter")),
    "rank-llm": Reader("x.jsonl", json.dumps(HITS) + "\n", {}, _format("rank-llm")),
    "rank-distillm": Reader(
        "x.parquet", _parquet({"qid": [1, 1], "docno": [7, 8], "score": [2.0, 1.0], "rank": [1, 2]}), {},
        _format("rank-distillm"),
    ),
    "sbert-hard-negatives": Reader("x.jsonl", json.dumps(HARD) + "\n", {}, _format("sbert-hard-negatives")),
    "triples": Reader("x.tsv", "1\t2\t3\n4\t5\t6\n", {}, _format("triples")),
    "scored-pairs": Reader(
        "x.parquet", _parquet({"query": ["what boils"], "document": ["Water."], "score": [2.0]}), {},
        _format("scored-pairs"),
    ),
    "text-triples": Reader("x.tsv", "what boils\tWater boils.\tIron melts.\n", {}, _format("text-triples")),
    "lists from a run": Reader("x.run", RUN, {}, _format("run")),
    "lists.parquet": Reader("lists.parquet", LISTS, {}, read_lists),
    "YAML": Reader("x.yaml", STUDY, {}, lambda path: read_yaml(path.read_bytes().decode(errors="replace"))),
    "study.yaml": Reader("study.yaml", STUDY, {}, _study),
    "recipe.yaml": Reader("recipe.yaml", RECIPE, {}, lambda path: read_section(Recipe, path)),
    "calls.jsonl": Reader("x.jsonl", '{"key": "a", "answer": "[1] > [2]"}\n{"b": 1}\n', {}, _journal),
    "log.jsonl": Reader("log.jsonl", LOG, {}, read_log),
    "summary.json": Reader("summary.json", SUMMARY, {}, lambda path: read_summary(path.parent)),
    "index.json": Reader("index.json", INDEX, {}, lambda path: Store(path.parent).read_index()),
    "state.json": Reader("cells/ab/state.json", '{"status": "done"}', {}, lambda p: Store(p.parents[2]).state("ab")),
    **{f"model: {name}": Reader(name, text, _without(LAYOUT, name), _layout) for name, text in LAYOUT.items()},
}  # fmt: skip

NASTY = [
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"\t", b"\x1b[2J", b"\x85", b"\xc2\xa0",
    b'"', b"'", b"{", b"}", b"[", b"]", b"{" * 2000, b"[" * 2000, b"- " * 1500, b"null", b"true", b"NaN", b"-Infinity",
    b"1e999", b"9" * 5000, b"-1", b"1_0", "٣".encode(), b"99999999999999999", b"0x1F", b"\\ud800", b"=1+1", b"<<: *b",
    b"&a [*a, *a]", b"!!python/object/apply:os.system [x]", b"!!bool foo", b"!!timestamp foo", b"*b", b"? ", b"---\n",
    b"\x1f\x8b\x08\x00", b"PAR1",
]  # fmt: skip


def mutated(content: bytes, draw: random.Random) -> bytes:
    """One to four random changes: bytes flipped, cut out, doubled or replaced by what readers have stumbled over."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        start = draw.randrange(len(data) + 1)
        end = min(len(data), start + draw.choice((0, 1, 1, 2, 8, 40)))
        match draw.randrange(6):
            case 0:
                data[start:end] = bytes(draw.randrange(256) for _ in range(end - start))
            case 1:
                del data[start:end]
            case 2:
                data[start:start] = data[start:end] * draw.choice((1, 1, 2, 200))
            case 3 if draw.random() < 0.3:
                del data[start:]
            case _:
                data[start:end] = draw.choice(NASTY)
    return bytes(data)


@contextmanager
def within(seconds: int, what: str) -> Iterator[None]:
    """Raise where something computes longer, whatever it is at; what other processes take does not count."""

    def late(*_: object) -> None:
        raise TimeoutError(f"{what}: not read within {seconds} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_with_its_name(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    content = reader.content.encode() if isinstance(reader.content, str) else reader.content
    path = tmp_path / reader.file
    for file, text in {**reader.beside, reader.file: ""}.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    path.write_bytes(content)
    with within(SECONDS, f"{name} unharmed"):
        reader.read(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    faults = []
    for number in range(100 * TIMES):
        data = mutated(content, random.Random(f"{name} {number}"))
        path.write_bytes(data)
        try:
            with within(SECONDS, f"{name} {number}"):
                reader.read(path)
        except LimbeckError as error:
            printable(str(error)).encode()  # as the command prints it
        except Exception as error:
            faults.append(f"{number}: {type(error).__name__}: {str(error)[:200]} of {data[:200]!r}")
    assert not faults, f"{len(faults)} of {100 * TIMES} mutants of {name}:\n" + "\n".join(faults[:10])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    assert grown < GIBIBYTES, f"{name}: {grown:.1f} GiB more"
