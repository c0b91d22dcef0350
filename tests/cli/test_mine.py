"""Mining, end to end: from documents and queries without judgments to lists that training reads."""

from pathlib import Path

import pytest

from limbeck.collections import load_collection, load_documents
from limbeck.lists import read_lists


@pytest.fixture
def unjudged(here: Path) -> Path:
    """The miniature collection, without its judgments."""
    (here / "own").mkdir()
    for name in ("corpus.jsonl", "queries.jsonl"):
        (here / "own" / name).symlink_to(here / "mini" / name)
    return here


def test_documents_and_queries_alone_become_lists_to_train_on(unjudged, limbeck, as_json):
    limbeck("retrieve", "bm25", "--collection", "own", "--depth", 8, "--output", "own.run")
    mined = as_json(
        "lists",
        "mine",
        "--collection",
        "own",
        "--teacher-run",
        "own.run",
        "--relative-margin",
        0.2,
        "--output",
        "m.parquet",
    )
    assert set(mined["signals"]) == {"labels", "teacher_scores", "teacher_order"}
    assert mined["with_positive"] == 1.0
    filtered, of = (int(mined["metadata"][n]) for n in ("false_negatives_filtered", "negative_candidates"))
    assert 0 < filtered < of
    limbeck(
        "train", "--backbone", "bert", "--objective", "InfoNCE", "--lists", "m.parquet", "--collection", "own",
        "--steps", 2, "--lists-per-step", 2, "--max-length", 20, "--output", "student",
    )  # fmt: skip


def test_a_cross_encoder_and_its_lists_mine_the_same(unjudged, limbeck, make_cross_encoder):
    cross_encoder = make_cross_encoder("one", 1)
    mine = ("lists", "mine", "--collection", "own", "--absolute-margin", 0.001)
    limbeck(*mine, "--cross-encoder", cross_encoder, "--depth", 8, "--output", "a.parquet")
    limbeck("retrieve", "bm25", "--collection", "own", "--depth", 8, "--output", "own.run")
    limbeck(
        "teach",
        "ensemble",
        "--model",
        cross_encoder,
        "--collection",
        "own",
        "--run",
        "own.run",
        "--output",
        "t.parquet",
    )
    limbeck(*mine, "--taught", "t.parquet", "--output", "b.parquet")
    assert read_lists("a.parquet") == read_lists("b.parquet")


@pytest.mark.parametrize(
    ("collection", "words", "said"),
    [
        ("own", (), "own has no judgments; expected a teacher"),
        ("own", ("--teacher-run", "r", "--taught", "t", "--skip", 1), "expected one teacher"),
        ("own", ("--teacher-run", "r"), "no filter of false negatives"),
        ("own", ("--teacher-run", "r", "--skip", 1, "--run", "r"), "leave --run out"),
        ("own", ("--taught", "r", "--skip", 1, "--depth", 3), "taken whole"),
        ("mini/train", ("--skip", 1), "but no teacher"),
        ("own", ("--teacher-run", "r", "--skip", 1, "--corpus-negatives", 2), "which has not scored them"),
    ],
)
def test_what_does_not_go_together_is_said(unjudged, limbeck, collection, words, said):
    found = limbeck("lists", "mine", "--collection", collection, *words, "--output", "m.parquet", code=2)
    assert said in " ".join(found.stderr.split())


def test_the_command_at_the_head_of_own_data_makes_its_lists(unjudged, limbeck, make_cross_encoder):
    head = (Path(__file__).parents[2] / "studies" / "own-data.yaml").read_text().replace("#", "").replace("\\\n", "")
    (command,) = (line.split() for line in head.splitlines() if "limbeck lists mine" in line)
    teacher = command[command.index("--cross-encoder") + 1]
    own = {"my-collection": "own", teacher: make_cross_encoder("teacher", 1)}
    limbeck(*(own.get(word, word) for word in command[1:]))
    assert read_lists("my-lists.parquet").metadata["negatives"] == "skip 10"


def test_easy_negatives_of_the_whole_collection_stand_behind_judged_candidates(here, limbeck, as_json):
    limbeck("retrieve", "bm25", "--collection", "mini/train", "--depth", 5, "--output", "r")
    words = ("--collection", "mini/train", "--corpus-negatives", 4)
    mined = as_json("lists", "mine", *words, "--run", "r", "--output", "mined.parquet")
    assert mined["metadata"]["corpus_negatives"] == "4"
    convert = ("lists", "convert", "r", "--format", "run", "--labels", "--signal", "labels")
    limbeck(*convert, *words, "--output", "converted.parquet")
    assert read_lists("converted.parquet") == read_lists("mined.parquet")
    assert min(map(len, read_lists("mined.parquet").passage_ids)) >= 5 + 4


def test_documents_alone_get_queries_and_become_lists(here, limbeck, as_json, server):
    (here / "docs").mkdir()
    (here / "docs" / "corpus.jsonl").symlink_to(here / "mini" / "corpus.jsonl")
    assert (
        "limbeck teach queries" in limbeck("retrieve", "bm25", "--collection", "docs", "--output", "r", code=3).stderr
    )

    def first_words(body: dict, n: int) -> str:
        line = next(line for line in body["messages"][-1]["content"].splitlines() if line.startswith("Passage: "))
        return f"##query: {' '.join(line.split()[1:4])}"

    server.reply = first_words
    ask = ("teach", "queries", "--model", "wise", "--endpoint", server.url, "--collection", "docs", "--output", "made")
    made = as_json(*ask, "--documents", 10)
    assert (made["queries"], made["documents_asked"]) == (10, 10)
    collection = load_collection("made/train")
    assert collection.documents == load_documents("docs").documents
    for query_id, judged in collection.qrels.items():
        for docid in judged:
            assert collection.documents[docid].startswith(collection.queries[query_id])
    assert as_json(*ask, "--documents", 12)["queries"] == 12
    assert "10 of 10 documents done" in limbeck("teach", "status", "made.calls.jsonl").stdout
    assert len(server.requests) == 12
    limbeck(*ask[:-1], "mini", code=2)
    limbeck("retrieve", "bm25", "--collection", "made", "--depth", 9, "--output", "made.run")
    mined = as_json("lists", "mine", "--collection", "made", "--teacher-run", "made.run", "--skip", 2, "--output", "m")
    assert mined["metadata"]["labels_from"] == "judgments of made"


def test_lists_of_several_sources_are_mixed_and_exported(here, limbeck, as_json):
    limbeck("retrieve", "bm25", "--collection", "mini/train", "--depth", 9, "--output", "train.run")
    mine = ("lists", "mine", "--collection", "mini/train")
    limbeck(*mine, "--run", "train.run", "--output", "judged.parquet")
    mined = as_json(*mine, "--teacher-run", "train.run", "--skip", 1, "--output", "mined.parquet")
    mixed = as_json("lists", "mix", "judged.parquet", "mined.parquet", "--output", "both.parquet")
    again = limbeck("lists", "mix", "judged.parquet", "judged.parquet", "--output", "x.parquet", code=2)
    assert "judged.parquet: is given twice" in again.stderr
    assert (mixed["lists"], set(mixed["signals"])) == (5 + mined["lists"], {"labels"})
    export = ("lists", "export", "--format")
    written = as_json(*export, "sentence-transformers", "both.parquet", "--output", "both.st.parquet")
    assert (written["lists"], written["lost"]) == (mixed["lists"], {})
    convert = ("lists", "convert", "both.st.parquet", "--format", "sentence-transformers")
    limbeck(*convert, "--output", "back.parquet")
    assert read_lists("back.parquet") == read_lists("both.parquet")
    said = limbeck(*export, "hofstaetter", "mined.parquet", "--output", "mined.tsv").stdout
    assert f"mined.tsv: {mined['lists']} lists as hofstaetter" in said
    assert "  not carried: lists taken apart into pairs" in said
    limbeck("lists", "convert", "train.run", "--format", "run", "--output", "order.parquet")
    texts = as_json(*export, "rank-llm", "order.parquet", "--collection", "mini/train", "--output", "order.jsonl")
    assert (texts["lists"], texts["lost"]) == (5, {})
