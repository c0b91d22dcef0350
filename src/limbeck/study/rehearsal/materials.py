"""What a rehearsal is made of: small generated collections, lists in every published format, small random models."""

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import numpy as np

from limbeck.collections import Collection
from limbeck.collections.collection import has_queries_in_corpus, relevance_level
from limbeck.core.errors import UsageError
from limbeck.lists import Lists, find_format, write_lists
from limbeck.lists.formats import ExampleQuery
from limbeck.study.plan.architecture import Architecture

WORDS = ["".join(parts) for parts in product("bdfklmnprst", "aeiou", ["n", "r", "st", "mo"])]
"""220 words of three or four letters."""


def text(draw: Random, length: int) -> str:
    """So many words."""
    return " ".join(draw.choices(WORDS, k=length))


DOCUMENTS = 20
QUERIES = 4
TRAINING_QUERIES = 12
LONG = 600  # words of the one document that no backbone of 512 positions can read whole


def write_collection(name: str, number: int, folder: Path, queries: int = QUERIES, long: bool = False) -> None:
    """Write documents of random words, queries of words from two documents each, and these two as their judgments.

    What is known of the real collection holds for the small one: grades that count as relevant, queries that are in the
    corpus. Ids are numbers, different in every collection of a study.

    Args:
        number: the collection's among those of the study.
        queries: how many; fewer are the first of more, all else being equal.
        long: whether one document is longer than any backbone reads.
    """
    draw = Random(f"{number} {name}")
    first = 1000 * (number + 1)
    documents = {str(first + n): text(draw, draw.randint(8, 16)) for n in range(DOCUMENTS)}
    if long:
        documents[str(first + DOCUMENTS - 1)] = text(draw, LONG)
    own = has_queries_in_corpus(name)
    texts: dict[str, str] = {}
    judgments: list[str] = []
    for n in range(queries):
        itself, *docids = draw.sample(sorted(set(documents) - set(texts)), 3)
        query_id = itself if own else str(first + 500 + n)
        words = [draw.choice(documents[docid].split()) for docid in docids for _ in range(2)]
        texts[query_id] = " ".join(words)
        grades = (relevance_level(name) + 1, relevance_level(name))
        judgments += [f"{query_id}\t{docid}\t{grade}" for docid, grade in zip(docids, grades, strict=True)]
    settings = {"relevance_level": relevance_level(name), "drop_query_document": own}
    _write_folder(folder, documents, texts, judgments, settings)


def write_half(whole: Collection, folder: Path) -> None:
    """Write half of the queries of a collection that is taken as it is, for one whose queries are left out of it."""
    query_ids = whole.query_ids[: len(whole.query_ids) // 2]
    grades = {query_id: whole.qrels.get(query_id, {}) for query_id in query_ids}
    judgments = [f"{query_id}\t{docid}\t{grade}" for query_id, of in grades.items() for docid, grade in of.items()]
    _write_folder(folder, whole.documents, {query_id: whole.queries[query_id] for query_id in query_ids}, judgments, {})


def _write_folder(
    folder: Path,
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    judgments: list[str],
    settings: Mapping[str, Any],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file, rows in (("corpus.jsonl", documents), ("queries.jsonl", queries)):
        lines = [json.dumps({"_id": text_id, "text": words}) for text_id, words in rows.items()]
        _write_lines(folder / file, lines)
    _write_lines(folder / "qrels.tsv", ["query-id\tcorpus-id\tscore", *judgments])
    _write_lines(folder / "limbeck.json", [json.dumps(settings)])


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


PASSAGES = 12


def rankings(collection: Collection, file: str) -> list[ExampleQuery]:
    """A ranking of each of the split's queries, judged passages among them; the same for every file of one name."""
    draw = Random(f"{collection.name} {file}")
    ids = list(collection.documents)
    found = []
    for query_id in collection.query_ids:
        relevant = [docid for docid, grade in collection.qrels.get(query_id, {}).items() if grade > 0]
        relevant = relevant[: PASSAGES // 2] or draw.sample(ids, 1)
        others = [docid for docid in draw.sample(ids, min(2 * PASSAGES, len(ids))) if docid not in relevant]
        scores = {docid: draw.gauss(3, 1) for docid in relevant}
        scores |= {docid: draw.gauss(-3, 2) for docid in others[: PASSAGES - len(relevant)]}
        ranked = sorted(scores.items(), key=lambda item: -item[1])
        passages, values = [docid for docid, _ in ranked], [round(score, 4) for _, score in ranked]
        found.append(ExampleQuery(query_id, passages, values, frozenset(relevant)))
    return found


def write_published(form: str, collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Write a file of a published format, or `limbeck` lists; gzipped or Parquet as its name says.

    Args:
        signals: what the study trains on, where a format has several shapes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    found = rankings(collection, path.name)
    if form == "limbeck":
        write_lists(_ready(found), path)
    else:
        find_format(form).example(found, collection, signals, path)


def _ready(found: list[ExampleQuery]) -> Lists:
    orders = [np.arange(len(r.passages), 0, -1, dtype=np.float32) for r in found]
    return Lists(
        [r.query_id for r in found],
        [r.passages for r in found],
        labels=[np.array([p in r.relevant for p in r.passages], np.float32) for r in found],
        teacher_scores=[np.array(r.scores, np.float32) for r in found],
        teacher_order=orders,
    )


LAYERS = 2
SMALL = {
    "hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 48,
    "pooler_hidden_size": 32, "embedding_size": 32, "initializer_range": 0.2, "num_labels": 1,
}  # fmt: skip
# The names that DistilBERT has for them.
OTHER_NAMES = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
               "intermediate_size": "hidden_dim"}  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"


SPLADE = Architecture("distilbert", "wordpiece", {})
DENSE = Architecture("bert", "wordpiece", {})


def write_model(architecture: Architecture, head: str, name: str, folder: Path, layers: int = LAYERS) -> None:
    """Write a random checkpoint, the same on every call.

    Args:
        head: the class of transformers that makes it, such as `AutoModel`.
        name: of the real model; other names get other weights.

    Raises:
        UsageError: transformers has no such architecture, or not in this shape.
    """
    import torch
    import transformers

    from limbeck.models.sources import silence_transformers

    with silence_transformers(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(crc32(name.encode()))
        tokenizer = _tokenizer(architecture)
        shape = {key: value for key, value in architecture.shape.items() if key != "layer_types"}
        small = {OTHER_NAMES[key] if architecture.kind == "distilbert" and key in OTHER_NAMES else key: value
                 for key, value in {**SMALL, "num_hidden_layers": layers}.items()}  # fmt: skip
        tokens = {f"{token}_token_id": getattr(tokenizer, f"{token}_token_id") for token in ("pad", "cls", "sep")}
        values = {**shape, **small, **tokens, "bos_token_id": None, "eos_token_id": None, "vocab_size": len(tokenizer)}
        try:
            config = transformers.AutoConfig.for_model(architecture.kind, **values)
            model = getattr(transformers, head).from_config(config)
        # What a family's classes raise for a shape that they cannot have differs from family to family.
        except Exception as error:
            raise UsageError(
                f"{name}: cannot be rehearsed: no small model of the type {architecture.kind} can be made ({error}); "
                "take its backbone out of the study to rehearse the rest"
            ) from None
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _tokenizer(architecture: Architecture) -> Any:
    import transformers

    if architecture.tokenizer == "wordpiece":
        specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        pieces = [*specials, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
        return transformers.BertTokenizer(vocab={token: number for number, token in enumerate(pieces)})
    if architecture.tokenizer == "unigram":
        scored = [(token, 0.0) for token in ("[PAD]", "[CLS]", "[SEP]", "[UNK]")]
        scored += [(f"▁{word}", -float(rank)) for rank, word in enumerate(WORDS, 1)]
        scored += [(letter, -500.0) for letter in f"▁{LETTERS}{LETTERS.upper()}"]
        return transformers.DebertaV2Tokenizer(vocab=[*scored, ("[MASK]", 0.0)], unk_id=3)
    return _byte_level(architecture.kind)


def _byte_level(kind: str) -> Any:
    """Byte-level BPE; with RoBERTa's pair template where the model is one, else with BERT's."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    roberta = kind == "roberta"
    start, padding, end, unknown, mask = (
        ("<s>", "<pad>", "</s>", "<unk>", "<mask>") if roberta else ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
    )
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=[start, padding, end, unknown, mask], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    backend.train_from_iterator([" ".join(WORDS)], trainer)
    if roberta:
        model = json.loads(backend.to_str())["model"]
        return transformers.RobertaTokenizer(vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} $B {end}",
        special_tokens=[(token, backend.token_to_id(token)) for token in (start, end)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, model_input_names=["input_ids", "attention_mask"], unk_token=unknown,
        cls_token=start, sep_token=end, pad_token=padding, mask_token=mask,
    )  # fmt: skip
