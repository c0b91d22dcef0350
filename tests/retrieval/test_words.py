"""What reads the same is the same term, in every script, and plain English is split as it always was."""

import re
import unicodedata

import pytest

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.retrieval import BM25
from limbeck.retrieval.words import splitter

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
        BM25(tokenizer="script5")  # type: ignore[arg-type]
