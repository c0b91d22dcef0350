"""What reads the same is the same term, in every script, and plain English is split as it always was."""

import math
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limbeck.collections import Collection, load_collection
from limbeck.core.errors import UsageError
from limbeck.retrieval import BM25
from limbeck.retrieval.bm25 import splitter
from limbeck.runs import Run

PLAIN = BM25(stemmer=None, stopwords=None)


def collection_of(documents: dict[str, str], **queries: str) -> Collection:
    return Collection("tiny", documents, queries, {}, tuple(queries))


STILLS = collection_of(
    {"a": "copper copper still", "b": "copper glass worm tub pot", "c": "glass", "d": "yeast and mash", "e": ""},
    q1="copper",
    q2="Copper, GLASS!",
)


def lucene(tf: int, length: int, df: int, n: int, average: float, k1: float, b: float) -> float:
    idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
    return idf * tf / (tf + k1 * (1 - b + b * length / average))


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (0.0, 0.0), (2.0, 1.0)])
def test_scores_are_lucene_s_bm25(k1: float, b: float) -> None:
    run = replace(PLAIN, k1=k1, b=b).retrieve(STILLS)
    average = (3 + 5 + 1 + 3 + 0) / 5
    a = lucene(2, 3, 2, 5, average, k1, b)
    in_b = lucene(1, 5, 2, 5, average, k1, b)
    c = lucene(1, 1, 2, 5, average, k1, b)
    scores = {query_id: dict(zip(run[query_id].docids, run[query_id].scores, strict=True)) for query_id in run}
    assert scores["q1"] == pytest.approx({"a": a, "b": in_b}, rel=1e-6)
    assert scores["q2"] == pytest.approx({"a": a, "b": 2 * in_b, "c": c}, rel=1e-6)


def test_documents_without_a_word_of_the_query_are_not_returned() -> None:
    collection = collection_of(dict(STILLS.documents), q1="mash", q2="nothing like it", q3="the of")
    run = BM25().retrieve(collection)
    assert list(run) == ["q1"]
    assert run["q1"].docids == ("d",)


def test_a_query_of_stopwords_does_not_find_empty_documents() -> None:
    assert len(BM25().retrieve(collection_of({"a": "the", "b": "", "c": "still"}, q="of the"))) == 0


def test_a_corpus_without_words_gives_an_empty_run() -> None:
    assert len(BM25().retrieve(collection_of({"a": "the", "b": ""}, q="still"))) == 0


def test_ties_at_the_depth_are_cut_by_docid_and_not_by_position() -> None:
    docids = [f"d{i:02d}" for i in range(30)]
    np.random.default_rng(0).shuffle(docids)
    collection = collection_of({**dict.fromkeys(docids, "same words"), "top": "same same"}, q="same")
    run = PLAIN.retrieve(collection, depth=4)
    assert run["q"].docids == ("top", "d29", "d28", "d27")


def test_a_shallower_run_is_the_deeper_one_cut(shared_data: Path) -> None:
    collection = load_collection(str(shared_data / "cranfield"))
    assert BM25().retrieve(collection, depth=7) == BM25().retrieve(collection, depth=50).cut(7)


def test_stemming_and_stopwords_can_be_changed_and_turned_off() -> None:
    collection = collection_of({"a": "distilling spirits", "b": "the kettle"}, q="distilled", s="the", g="Häuser")
    assert set(BM25().retrieve(collection)) == {"q"}
    assert set(PLAIN.retrieve(collection)) == {"s"}
    german = collection_of({"a": "das Haus", "b": "die Katze"}, q="Häuser", s="das")
    assert set(BM25(stemmer="german", stopwords="german").retrieve(german)) == {"q"}


def test_a_query_s_own_document_is_left_out_where_the_collection_says_so() -> None:
    collection = collection_of({"q1": "copper still", "a": "copper", "b": "glass"}, q1="copper still", q2="glass")
    assert BM25().retrieve(collection, depth=1)["q1"].docids == ("q1",)
    dropped = BM25().retrieve(replace(collection, drop_query_document=True), depth=1)
    assert dropped["q1"].docids == ("a",)
    assert dropped["q2"].docids == ("b",)


def test_only_the_split_s_queries_are_retrieved() -> None:
    assert list(BM25().retrieve(replace(STILLS, query_ids=("q2",)))) == ["q2"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"k1": -0.1}, "k1 is -0.1; expected 0 or more"),
        ({"k1": math.nan}, "k1 is nan"),
        ({"k1": math.inf}, "k1 is inf"),
        ({"b": 1.1}, "b is 1.1; expected a number from 0 to 1"),
        ({"b": math.nan}, "b is nan"),
        ({"stemmer": "englisch"}, 'no stemmer "englisch".*did you mean "english"'),
        ({"stopwords": "germn"}, 'no stopwords "germn".*did you mean "german"'),
    ],
)
def test_values_that_cannot_be_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BM25(**values)


def test_a_depth_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="expected 1 or more"):
        BM25().retrieve(STILLS, depth=0)


def test_every_language_of_stopwords_is_known_to_bm25s() -> None:
    from limbeck.retrieval.bm25 import STOPWORDS

    for language in STOPWORDS:
        assert isinstance(BM25(stopwords=language).retrieve(STILLS), Run)


@pytest.mark.parametrize(("name", "low", "high"), [("scifact", 0.67, 0.69), ("cranfield", 0.34, 0.37)])
def test_effectiveness_is_what_is_published(shared_data: Path, name: str, low: float, high: float) -> None:
    import ir_measures

    collection = load_collection(str(shared_data / name))
    run = BM25().retrieve(collection, depth=10, progress=False)
    ranks = {query_id: {docid: -float(i) for i, docid in enumerate(run[query_id].docids)} for query_id in run}
    ndcg = ir_measures.parse_measure("nDCG@10")
    values = [metric.value for metric in ir_measures.iter_calc([ndcg], collection.qrels, ranks)]
    assert low <= sum(values) / len(collection.query_ids) <= high


SCRIPTS = {
    "chinese": ({"a": "港口的船只在暴风雨前被移走", "b": "会使面包变得又硬又密"}, {"a": "暴风雨 港口", "b": "面包"}),
    "japanese": ({"a": "猫が静かに眠っている。", "b": "ﾊﾟﾝを焼くオーブンの温度"}, {"a": "猫", "b": "パン"}),
    "korean": ({"a": "학교에서는 점심을 먹는다", "b": "자전거가 고장났다"}, {"a": "학교", "b": "자전거"}),
    "thai": ({"a": "แมวนอนหลับอยู่บนเตียง", "b": "เรือจอดอยู่ที่ท่าเรือ"}, {"a": "แมว", "b": "ท่าเรือ"}),
    "khmer": ({"a": "ឆ្មាកំពុងគេង", "b": "ទូកនៅកំពង់ផែ"}, {"a": "ឆ្មា", "b": "ទូក"}),
    "hindi": ({"a": "बिल्ली सो रही है", "b": "रोटी में आटा"}, {"a": "बिल्ली", "b": "रोटी"}),
    "tamil": ({"a": "பூனை தூங்குகிறது", "b": "ரொட்டி சுடப்பட்டது"}, {"a": "பூனை", "b": "ரொட்டி"}),
    "russian": ({"a": "КОШКА спит", "b": "хлеб"}, {"a": "кошка", "b": "ХЛЕБ"}),
    "arabic": ({"a": "القطة نائمة", "b": "الخبز طازج"}, {"a": "القطة", "b": "الخبز"}),
    "arabic without points": ({"a": "قَرَأَ الكِتَابَ", "b": "الـخـبـز"}, {"a": "الكتاب", "b": "الخبز"}),
    "hebrew": ({"a": "שָׁלוֹם עוֹלָם", "b": "לחם"}, {"a": "שלום", "b": "לֶחֶם"}),
    "greek": ({"a": "ΑΘΗΝΑ", "b": "ψωμί"}, {"a": "Αθήνα", "b": "ΨΩΜΙ"}),
    "yo": ({"a": "новогодняя ёлка", "b": "мед"}, {"a": "елка", "b": "МЁД"}),
    "turkish": ({"a": "İSTANBUL", "b": "ekmek"}, {"a": "istanbul", "b": "Ekmek"}),
    "german": ({"a": "die Straße", "b": "Häuser"}, {"a": "STRASSE", "b": "HÄUSER"}),
    "wide": ({"a": "ＩＰＡ ｔｏｋｅｎ", "b": "ﬁne ligature"}, {"a": "token", "b": "fine"}),
}  # fmt: skip


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_query_finds_its_document_in_every_script_and_normal_form(script: str, form: str) -> None:
    documents, queries = SCRIPTS[script]
    documents = {docid: unicodedata.normalize(form, text) for docid, text in documents.items()}
    for stemmer, stopwords in ((None, None), ("english", "english")):
        bm25 = BM25(stemmer=stemmer, stopwords=stopwords)
        run = bm25.retrieve(Collection("x", documents, queries, {}, tuple(queries)), 5, progress=False)
        assert {query_id: run[query_id].docids[0] for query_id in run} == {"a": "a", "b": "b"}


def test_combining_marks_stay_with_their_letters() -> None:
    assert splitter("script")("हिन्दी में क") == ["हिन्दी", "में"]
    assert splitter("words")("cafe\u0301 re\u0301sume\u0301") == ["café", "résumé"]


def test_plain_english_is_split_as_published_baselines_split_it() -> None:
    text = "The C-3PO's 2nd x-ray, don't_split snake_case: 3.14 (IL-2) A b"
    for tokenizer in ("script", "words"):
        assert splitter(tokenizer)(text) == re.findall(r"(?u)\b\w\w+\b", text.lower())


def test_n_grams_are_taken_within_a_run_and_not_across_scripts() -> None:
    assert splitter("script")("iPhone手机 12") == ["iphone", "手", "机", "手机", "12"]
    assert splitter("words")("iPhone手机") == ["iphone手机"]
    assert splitter("whitespace")("手机 壳 a-B") == ["手机", "壳", "a-b"]
    assert splitter("script")("ปู") == ["ปู"]


def test_layout_inside_a_word_does_not_part_it() -> None:
    assert splitter("script")("co\u00adpper zero\u200bwidth می\u200cخواهم") == ["copper", "zerowidth", "میخواهم"]


def test_another_tokenizer_is_refused() -> None:
    with pytest.raises(UsageError, match=r'no tokenizer "script5".*did you mean "script"'):
        BM25(tokenizer="script5")
