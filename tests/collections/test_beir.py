import gzip
import json
from pathlib import Path

import pytest

from limbeck.collections import Collection, load_collection, load_documents
from limbeck.core.errors import DataError, LimbeckError, MissingError, UsageError

CORPUS = "\n".join(
    json.dumps(row)
    for row in [
        {"_id": "d1", "title": "Stills", "text": "copper pots"},
        {"_id": "d2", "title": "", "text": "glass"},
        {"_id": 3, "text": " alembics ", "metadata": {}},
        {"_id": "d4", "title": None, "text": "worms"},
        {"_id": "d5", "title": "Only a title", "text": ""},
    ]
)
QUERIES = '{"_id": "q1", "text": "what is a still"}\n{"_id": "q2", "text": "glass?"}\n{"_id": "q3", "text": "x"}\n'
HEADER = "query-id\tcorpus-id\tscore\n"
BASE = {
    "corpus.jsonl": CORPUS,
    "queries.jsonl": QUERIES,
    "qrels/test.tsv": HEADER + "q2\td2\t2\nq1\td1\t1\nq1\td2\t0\n",
}


def write(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(folder)


def load(folder: Path, files: dict[str, str], split: str = "") -> Collection:
    return load_collection(write(folder, files) + split)


def refused(folder: Path, changes: dict[str, str | None], kind: type[LimbeckError] = DataError) -> str:
    files = {name: text for name, text in {**BASE, **changes}.items() if text is not None}
    with pytest.raises(kind) as error:
        load(folder, files)
    return str(error.value)


def test_title_and_text_are_joined_as_beir_joins_them(tmp_path: Path) -> None:
    assert load(tmp_path, BASE).documents == {
        "d1": "Stills copper pots",
        "d2": "glass",
        "3": "alembics",
        "d4": "worms",
        "d5": "Only a title",
    }


def test_the_judged_queries_stand_in_the_order_of_the_queries_file(tmp_path: Path) -> None:
    collection = load(tmp_path, BASE)
    assert collection.query_ids == ("q1", "q2")
    assert collection.qrels == {"q2": {"d2": 2}, "q1": {"d1": 1, "d2": 0}}
    assert list(collection.queries) == ["q1", "q2", "q3"]
    assert collection.warnings == ()
    assert (collection.relevance_level, collection.drop_query_document) == (1, False)


def test_without_judgments_all_queries_count(tmp_path: Path) -> None:
    collection = load(tmp_path, {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES})
    assert collection.query_ids == ("q1", "q2", "q3")
    assert collection.qrels == {}


def test_every_file_may_be_gzipped(tmp_path: Path) -> None:
    packed = load(tmp_path / "packed", {f"{name}.gz": text for name, text in BASE.items()})
    assert packed.fingerprint == load(tmp_path / "plain", BASE).fingerprint


@pytest.mark.parametrize("corpus", ["corpus.tsv", "collection.tsv", "collection.tsv.gz"])
@pytest.mark.parametrize(
    "qrels", ["qrels.test.tsv", "qrels/test.txt", "qrels/test.qrels.gz", "qrels.txt", "qrels.qrels"]
)
def test_trec_files_beside_a_corpus_are_read(tmp_path: Path, corpus: str, qrels: str) -> None:
    files = {corpus: "d1\tcopper\nd2\tglass\n", "queries.tsv": "q1\twhat\nq2\twhy\n", qrels: "q2 0 d1 1\nq2 0 d2 -2\n"}
    collection = load(tmp_path, files)
    assert collection.documents == {"d1": "copper", "d2": "glass"}
    assert collection.query_ids == ("q2",)
    assert collection.qrels == {"q2": {"d1": 1, "d2": -2}}


def test_a_header_may_name_the_columns_of_a_table(tmp_path: Path) -> None:
    files = {"corpus.tsv": "id\ttext\ttitle\nd1\tpots\tCopper\n", "queries.tsv": "qid\ttext\nq1\twhat\n"}
    collection = load(tmp_path, files)
    assert collection.documents == {"d1": "Copper pots"}
    assert collection.queries == {"q1": "what"}


def test_limbeck_json_sets_how_a_folder_is_measured(tmp_path: Path) -> None:
    settings = '{"relevance_level": 2, "drop_query_document": true}'
    collection = load(tmp_path, {**BASE, "limbeck.json": settings})
    assert (collection.relevance_level, collection.drop_query_document) == (2, True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{", "limbeck.json:1: not JSON"),
        ("[]", "limbeck.json: an array, expected an object; such as"),
        ('{"relevance_lvl": 2}', 'unknown key "relevance_lvl".*did you mean "relevance_level"'),
        ('{"relevance_level": "2"}', '"relevance_level": a string, expected a whole number'),
        ('{"relevance_level": true}', '"relevance_level": true or false, expected a whole number'),
        ('{"relevance_level": 0}', '"relevance_level" is 0; expected 1 or more'),
        ('{"drop_query_document": 1}', '"drop_query_document": a whole number, expected true or false'),
    ],
)
def test_a_faulty_limbeck_json_is_refused(tmp_path: Path, settings: str, message: str) -> None:
    write(tmp_path, {**BASE, "limbeck.json": settings})
    with pytest.raises(DataError, match=message):
        load_collection(str(tmp_path))


def test_splits_are_chosen_by_name_and_test_by_default(tmp_path: Path) -> None:
    files = {**BASE, "qrels/train.tsv": HEADER + "q3\td4\t1\n", "qrels/README.md": "hello"}
    assert load(tmp_path, files).query_ids == ("q1", "q2")
    assert load(tmp_path, files, "/train").query_ids == ("q3",)
    assert load(tmp_path, files, "/train").name == f"{tmp_path}/train"
    with pytest.raises(UsageError, match='no split "tran"; there are: test, train; did you mean "train"'):
        load(tmp_path, files, "/tran")


def test_the_only_split_is_taken_and_several_are_listed(tmp_path: Path) -> None:
    files = {name: text for name, text in BASE.items() if not name.startswith("qrels")}
    assert load(tmp_path, {**files, "qrels/dev.small.tsv": HEADER + "q3\td4\t1\n"}).query_ids == ("q3",)
    with pytest.raises(UsageError, match=r"several splits and none called test: dev\.small, train"):
        load(tmp_path, {"qrels/train.tsv": HEADER + "q3\td4\t1\n"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"_id": "d9", "title": "t"}', 'no "text"; expected an object like .*found "_id", "title"'),
        ('{"text": "t"}', 'no "_id"'),
        ('{"_id": "d9", "text": null}', 'the "text" is null; expected a string'),
        ('{"_id": "d9", "text": "t", "title": []}', 'the "title" is an array'),
        ('{"_id": 1.5, "text": "t"}', 'the "_id" is a number; expected a string'),
        ('{"_id": true, "text": "t"}', 'the "_id" is true or false'),
        ('{"_id": "", "text": "t"}', "the id is empty"),
        ('{"_id": "d 9", "text": "t"}', "the id 'd 9' holds whitespace"),
        ('{"_id": "d2", "text": "t"}', 'the document "d2" stands on line 2 already'),
        ('{"_id": "d9", "text": "t"', "not JSON .*expected `{.*}` on each line"),
        ('["d9", "t"]', "an array, expected an object"),
        ('{"_id": "d9", "text": "\\ud800"}', "half a surrogate pair"),
    ],
)
def test_a_bad_line_of_the_corpus_is_named(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path, {**BASE, "corpus.jsonl": f"{CORPUS}\n\n{line}\n"})
    with pytest.raises(DataError, match=rf"corpus\.jsonl:7: {message}"):
        load_collection(str(tmp_path))


def test_bytes_that_are_not_text_are_named_by_line(tmp_path: Path) -> None:
    write(tmp_path, BASE)
    (tmp_path / "queries.jsonl").write_bytes(b'{"_id": "q1", "text": "a"}\n{"_id": "q2", "text": "\xe9"}\n')
    with pytest.raises(DataError, match=r"queries\.jsonl:2: not UTF-8"):
        load_collection(str(tmp_path))


def test_unicode_line_separators_do_not_end_a_line(tmp_path: Path) -> None:
    collection = load(tmp_path, {**BASE, "queries.jsonl": '{"_id": "q1", "text": "a\u2028b\x85c"}\r\n' + QUERIES[40:]})
    assert collection.queries["q1"] == "a\u2028b\x85c"


def test_a_table_line_with_another_number_of_columns_is_named(tmp_path: Path) -> None:
    message = refused(tmp_path, {"queries.jsonl": None, "queries.tsv": "q1\twhat\nq2\twhy\tso\n"})
    assert "queries.tsv:2: 3 tab-separated columns; expected 2: id<TAB>text" in message


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    assert f"{name}:1: the file is empty" in refused(tmp_path, {name: "\n"})


def test_an_empty_query_is_refused(tmp_path: Path) -> None:
    assert 'queries.jsonl:4: the query "q4" is empty' in refused(
        tmp_path, {"queries.jsonl": QUERIES + '{"_id": "q4", "text": "  "}'}
    )


def test_empty_documents_are_kept_and_counted(tmp_path: Path) -> None:
    collection = load(tmp_path, {**BASE, "corpus.jsonl": CORPUS + '\n{"_id": "d6", "title": " ", "text": ""}'})
    assert collection.documents["d6"] == ""
    [warning] = collection.warnings
    assert "corpus.jsonl:6: 1 of 6 documents are empty" in warning


def test_a_corpus_of_empty_documents_only_is_refused(tmp_path: Path) -> None:
    assert "every document is empty" in refused(tmp_path, {"corpus.jsonl": '{"_id": "d1", "text": ""}'})


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ("corpus.jsonl.gz", "corpus.jsonl and corpus.jsonl.gz all claim to be the corpus"),
        ("collection.tsv", "corpus.jsonl and collection.tsv all claim to be the corpus"),
        ("queries.tsv", "queries.jsonl and queries.tsv all claim to be the queries"),
        ("qrels/test.txt", "all claim to be the judgments of \"test\""),
        ("qrels.test.tsv", "all claim to be the judgments of \"test\""),
    ],
)  # fmt: skip
def test_two_files_for_one_thing_are_refused(tmp_path: Path, extra: str, what: str) -> None:
    assert what in refused(tmp_path, {extra: "x"})


def test_a_folder_without_corpus_or_queries_says_what_it_needs(tmp_path: Path) -> None:
    assert "no corpus in this folder; expected one of corpus.jsonl, corpus.tsv" in refused(
        tmp_path / "a", {"corpus.jsonl": None}, MissingError
    )
    assert "no queries in this folder" in refused(tmp_path / "b", {"queries.jsonl": None}, MissingError)


def test_documents_alone_are_loaded_for_their_own_sake_and_their_sentences_are_queries(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "text": "Heat the copper still slowly."}')
    assert load_documents(str(tmp_path)).query_ids == ()
    assert load_collection(f"{tmp_path}~sentences").queries == {"d1~1": "Heat the copper still slowly."}
    with pytest.raises(MissingError, match=r"has no queries, expected queries.jsonl .*~sentences, or have an LLM"):
        load_collection(str(tmp_path))


def test_judgments_of_unknown_queries_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, {"qrels/test.tsv": HEADER + "q1\td1\t1\nq8\td1\t1\nq9\td1\t1\n"})
    assert 'qrels/test.tsv:3: query "q8" is judged but is not in' in message
    assert "(2 such queries in all)" in message


def test_judgments_of_unknown_documents_are_kept_and_counted(tmp_path: Path) -> None:
    collection = load(tmp_path, {**BASE, "qrels/test.tsv": HEADER + "q1\td1\t1\nq1\tz8\t1\nq2\tz8\t0\nq2\tz9\t2\n"})
    assert collection.qrels["q2"] == {"z8": 0, "z9": 2}
    [warning] = collection.warnings
    assert "qrels/test.tsv:3: 3 of 4 judgments are of documents without text" in warning
    assert '(first: "z8")' in warning


def test_judgments_of_nothing_but_unknown_documents_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, {"qrels/test.tsv": HEADER + "q1\tz8\t1\n"})
    assert 'qrels/test.tsv:2: document "z8" is judged but is not in corpus.jsonl, nor is any other' in message


@pytest.mark.parametrize(
    ("name", "documents", "queries", "judged", "judgments", "warning"),
    [
        ("trec-dl20", 15_495, 54, 54, 11_386, "6,245 of 11,386 judgments"),
        ("trec-dl21", 10_553, 53, 53, 10_828, "6,016 of 10,828 judgments"),
        ("trec-dl22", 16_660, 76, 76, 0, None),
        ("scifact", 5_183, 1_109, 300, 339, None),
        ("scifact/train", 5_183, 1_109, 809, 919, None),
        ("cranfield", 1_400, 225, 225, 1_837, "2 of 1,400 documents are empty"),
    ],
)
def test_real_folders_hold_what_is_published(
    shared_data: Path, name: str, documents: int, queries: int, judged: int, judgments: int, warning: str | None
) -> None:
    collection = load_collection(str(shared_data / name))
    assert (len(collection.documents), len(collection.queries)) == (documents, queries)
    assert len(collection.query_ids) == judged
    assert sum(len(grades) for grades in collection.qrels.values()) == judgments
    assert len(collection.warnings) == (warning is not None)
    assert warning is None or warning in collection.warnings[0]


@pytest.mark.parametrize(
    ("queries", "corpus"),
    [
        ("qid\tquery\n", "docno\ttext\n"),
        ("query_id\ttext\n", "doc_id\tbody\n"),
        ("topic\tquestion\n", "pid\tpassage\n"),
        ("Query-ID\tText\n", "ID\tContents\n"),
        ("", ""),
    ],
)
def test_headers_of_other_tools_are_no_data(tmp_path: Path, queries: str, corpus: str) -> None:
    files = {"queries.tsv": queries + "q1\twhat\n", "corpus.tsv": corpus + "d1\tpots\n", "qrels.tsv": "q1 d1 1\n"}
    collection = load(tmp_path, files)
    assert (dict(collection.queries), dict(collection.documents)) == ({"q1": "what"}, {"d1": "pots"})


def test_a_header_without_one_id_and_one_text_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, {"queries.jsonl": None, "queries.tsv": "qid\ttitle\nq1\twhat\n"})
    assert "queries.tsv:1: `qid\ttitle` names columns, but not one id and one text" in message


def test_one_array_is_read_like_lines(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in CORPUS.splitlines()]
    plain = load(tmp_path / "lines", BASE)
    for number, text in enumerate(
        (json.dumps(rows), json.dumps(rows, indent=1), "\ufeff\n " + json.dumps(rows) + "\n")
    ):
        assert load(tmp_path / str(number), {**BASE, "corpus.jsonl": text}).documents == plain.documents


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ('[{"_id": "d1", "text": "a"},\n{"_id": "d2"', ":2: an array of JSON values that breaks off here"),
        ('[{"_id": "d1", "text": "a"}\n', "an array of JSON values that breaks off here (expected a comma or `]`)"),
        ('[{"_id": "d1", "text": "a"},\n\n{"_id": "d2"}]', ':3: no "text"'),
        ('[{"_id": "d1", "text": "a"}]\n{}', ":1: text behind the end of the array"),
        ("[" * 5000, ":1: an array of JSON values that breaks off here"),
        ("[]", ":1: the file is empty"),
    ],
)
def test_a_fault_in_an_array_is_named_by_its_line(tmp_path: Path, array: str, message: str) -> None:
    assert message in refused(tmp_path, {"corpus.jsonl": array})


def test_a_folder_that_looks_like_a_fold_or_like_sentences_is_a_folder(tmp_path: Path) -> None:
    for name in ("x@2024", "y@1", "z~sentences"):
        assert load(tmp_path / name, BASE).query_ids == ("q1", "q2")
        assert load(tmp_path / name, BASE, "/test").query_ids == ("q1", "q2")
    assert len(load(tmp_path / "x@2024", BASE, "/test@1/2").query_ids) == 1
    corpus = CORPUS.replace("copper pots", "Copper pots boil well.")
    assert load(tmp_path / "z~sentences", {**BASE, "corpus.jsonl": corpus}, "~sentences").query_ids == ("d1~1",)


def test_files_beside_the_ones_read_that_look_meant_are_named(tmp_path: Path) -> None:
    files = {**BASE, "qrels/dev.csv": "q,d,1", "qrels/README.md": "about"}
    with pytest.raises(
        UsageError, match=r'no split "dev"; there are: test; qrels/dev\.csv may be meant, but is not read'
    ):
        load(tmp_path / "a", files, "/dev")
    unjudged = {name: text for name, text in BASE.items() if not name.startswith("qrels")}
    [warning] = load(tmp_path / "b", {**unjudged, "qrels/test.csv": "q,d,1"}).warnings
    assert "no judgments are read; qrels/test.csv may be meant" in warning
    message = refused(tmp_path / "c", {"corpus.jsonl": None, "corpus.csv": "x"}, MissingError)
    assert "there is corpus.csv, which is not read" in message
    (tmp_path / "c" / "corpus.jsonl").symlink_to("nowhere")
    message = refused(tmp_path / "c", {"corpus.jsonl": None}, MissingError)
    assert "corpus.jsonl is a link to a file that is not there" in message


def test_a_split_without_judgments_can_be_trained_on_and_is_told(tmp_path: Path) -> None:
    collection = load(tmp_path, {**BASE, "qrels/train.tsv": HEADER}, "/train")
    assert collection.query_ids == ("q1", "q2", "q3")
    assert collection.warnings == (
        f"{tmp_path}/qrels/train.tsv: holds no judgments, so no run can be measured on them",
    )
