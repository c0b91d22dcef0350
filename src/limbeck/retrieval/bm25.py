"""BM25, the lexical first stage, and the terms that it searches by, in every script."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import bm25s
import numpy as np
import Stemmer
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.core.errors import UsageError, nearest
from limbeck.core.progress import with_progress, with_total_progress
from limbeck.retrieval.search import best, require_depth
from limbeck.runs import Ranking, Run, rank

Tokenizer = Literal["script", "words", "whitespace"]
TOKENIZERS = ("script", "words", "whitespace")
Split = Callable[[str], list[str]]

_CJK = (
    "\u1100-\u11ff\u3005\u3007\u3021-\u3029\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f"
    "\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7fb\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
"""Han, Hiragana, Katakana, Bopomofo, and Hangul, whose blanks part phrases of a word and its particles."""
_SOUTH_EAST_ASIAN = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ece\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u109a-\u109d"
    "\u1780-\u17d3\u17d7\u17dc\u17dd\u1950-\u19c9\u1a20-\u1a7c\ua980-\ua9c0\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaac2"
)
"""Thai, Lao, Burmese, Khmer, Tai scripts, Javanese: letters of several characters, and no blanks between words."""
_GRAMS = {"cjk": (1, 2), "asian": (2, 3)}
"""Lengths of the n-grams taken of such a run: single characters find what bigrams alone would not, a word of one."""

_PLAIN = re.compile(r"\w\w+")
_UNSPACED = re.compile(f"[{_CJK}{_SOUTH_EAST_ASIAN}]")
_IGNORED = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
"""Soft hyphens, zero-width blanks and joiners: marks of layout inside a word, which not everybody types."""
_PLAINER = dict(zip("άέήίόύώϊϋΐΰё", "αεηιουωιυιυе", strict=True))
"""What Greek capitals leave out, and Russian print outside of schoolbooks."""
_OPTIONAL = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # points and accents of Hebrew
    "\u0610-\u061a\u0640\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"  # Arabic
    "\u0711\u0730-\u074a" + "".join(_PLAINER) + "]|(?<=i)\u0307"  # Syriac; the dot that folding leaves of Turkish İ
)
"""Vowel signs that ordinary writing leaves out, the line that stretches Arabic words, and the letters of `_PLAINER`."""


def normal(text: str) -> str:
    """One way to write what reads the same: compatibility composition (NFKC) and case folding (Unicode 15, 3.13).

    Signs that a script's ordinary writing may leave out are left out: vowel points of Arabic and Hebrew, accents of
    Greek, the dots of Russian ё.

    >>> normal("ﬁn, Αθήνα, ёлка, İzmir, مَكْتَب")
    'fin, αθηνα, елка, izmir, مكتب'
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", _IGNORED.sub("", text)).casefold()
    return _OPTIONAL.sub(lambda found: _PLAINER.get(found[0], ""), unicodedata.normalize("NFKC", folded))


def splitter(tokenizer: Tokenizer) -> Split:
    """What splits a text into terms.

    `script` takes words of two letters or more, combining marks with their letters, and of scripts without blanks
    between words overlapping n-grams: of one and two characters for Chinese, Japanese and Korean, of two and three for
    Thai, Lao, Khmer and Burmese. `words` takes words only, whatever the script; `whitespace` what stands between
    blanks, for texts that are segmented already.

    >>> splitter("script")("Copper-pots of a caf\u0065\u0301, \u9762\u5305")
    ['copper', 'pots', 'of', 'caf\u00e9', '\u9762', '\u5305', '\u9762\u5305']
    """
    return {"script": _by_script, "words": _words, "whitespace": _blanks}[tokenizer]


def _blanks(text: str) -> list[str]:
    return normal(text).split()


def _words(text: str) -> list[str]:
    plain = normal(text)
    return (_PLAIN if plain.isascii() else _marked_words()).findall(plain)


def _by_script(text: str) -> list[str]:
    plain = normal(text)
    if plain.isascii():
        return _PLAIN.findall(plain)
    if not _UNSPACED.search(plain):
        return _marked_words().findall(plain)
    terms: list[str] = []
    for found in _runs().finditer(plain):
        run, kind = found[0], str(found.lastgroup)
        if kind not in _GRAMS:
            terms += [run] if len(run) > 1 else []
        elif len(run) < _GRAMS[kind][0]:
            terms.append(run)
        else:
            terms += [run[at : at + n] for n in _GRAMS[kind] for at in range(len(run) - n + 1)]
    return terms


@cache
def _marks() -> str:
    """The combining marks (categories Mn, Mc, Me) as ranges of a character class: `\\w` leaves them out."""
    marks = {code for code in range(0x300, 0xE0200) if unicodedata.category(chr(code)).startswith("M")}
    starts = sorted(code for code in marks if code - 1 not in marks)
    ends = sorted(code for code in marks if code + 1 not in marks)
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))


@cache
def _marked_words() -> re.Pattern[str]:
    return re.compile(f"[\\w{_marks()}]{{2,}}")


@cache
def _runs() -> re.Pattern[str]:
    return re.compile(
        f"(?P<cjk>[{_CJK}]+)|(?P<asian>[{_SOUTH_EAST_ASIAN}]+)"
        f"|(?P<word>(?:(?![{_CJK}{_SOUTH_EAST_ASIAN}])[\\w{_marks()}])+)"
    )


STOPWORDS = (
    "english",
    "english_plus",
    "chinese",
    "danish",
    "dutch",
    "french",
    "german",
    "italian",
    "korean",
    "norwegian",
    "portuguese",
    "russian",
    "spanish",
    "swedish",
    "turkish",
)


@dataclass(frozen=True)
class BM25:
    """BM25 with Lucene's non-negative idf (Kamphuis et al. 2020), over the terms of `splitter`.

    The defaults of k1 and b are those with which MS MARCO and BEIR baselines are published.

    Attributes:
        k1: how slowly repeated words saturate, ≥ 0.
        b: how far long documents are discounted, 0 to 1.
        stemmer: a language or algorithm of Snowball (`english`, `german`, `porter`, …), or None.
        stopwords: whose stopwords are left out of documents and queries (one of `STOPWORDS`), or None.
        tokenizer: `script`, `words` or `whitespace`; see `splitter`.

    Raises UsageError for any other value.
    """

    k1: float = 0.9
    b: float = 0.4
    stemmer: str | None = "english"
    stopwords: str | None = "english"
    tokenizer: Tokenizer = "script"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.k1) and self.k1 >= 0):
            raise UsageError(f"BM25: k1 is {self.k1}; expected 0 or more")
        if not 0 <= self.b <= 1:
            raise UsageError(f"BM25: b is {self.b}; expected a number from 0 to 1")
        if self.tokenizer not in TOKENIZERS:
            raise UsageError(
                f'BM25: no tokenizer "{self.tokenizer}"; expected {", ".join(TOKENIZERS)}'
                f"{nearest(self.tokenizer, TOKENIZERS)}"
            )
        for what, given, known in (
            ("stemmer", self.stemmer, Stemmer.algorithms()),
            ("stopwords", self.stopwords, STOPWORDS),
        ):
            if given is not None and given not in known:
                raise UsageError(
                    f'BM25: no {what} "{given}"; expected none, or one of {", ".join(known)}{nearest(given, known)}'
                )

    def retrieve(self, collection: Collection, depth: int = 100, progress: bool = True) -> Run:
        """The best `depth` documents for each of the collection's `query_ids`.

        Only documents that share a word with the query are returned, so rankings may be shorter, and a query that
        shares none is not in the run. Ties are cut by the run's own rule. A query's own document is left out where
        the collection says so. The same input gives the same run.

        Args:
            depth: ≥ 1.
            progress: whether to show progress on stderr, where that is a terminal.
        """
        require_depth("BM25", depth)
        tokenizer = self._tokenizer()
        docids: list[str] = []
        texts = _texts(collection, docids, progress)
        # An empty token would make empty documents the answer to queries of stopwords alone.
        tokens = list(tokenizer.streaming_tokenize(texts, allow_empty=False))
        vocabulary = tokenizer.get_vocab_dict()
        if not vocabulary:
            return Run("bm25", {}, tag="bm25")
        index = bm25s.BM25(k1=self.k1, b=self.b, method="lucene")
        index.index((tokens, vocabulary), create_empty_token=False, show_progress=False)
        positions = {docid: i for i, docid in enumerate(docids)} if collection.drop_query_document else {}
        rankings: dict[str, Ranking] = {}
        shown_ids = with_total_progress(
            collection.query_ids, "BM25: retrieving", "queries", len(collection.query_ids), progress
        )
        for query_id in shown_ids:
            [query] = tokenizer.streaming_tokenize([collection.queries[query_id]], False, allow_empty=False)
            scores = index.get_scores_from_ids(query)
            if query_id in positions:
                scores[positions[query_id]] = 0
            rankings[query_id] = _best(docids, scores, depth)
        return Run("bm25", rankings, tag="bm25")

    def _tokenizer(self) -> Any:
        tokenizer = bm25s.tokenization.Tokenizer(
            lower=False,  # `splitter` folds case
            splitter=splitter(self.tokenizer),
            stopwords=self.stopwords,
            stemmer=Stemmer.Stemmer(self.stemmer) if self.stemmer else None,
        )
        tokenizer.stopwords = [normal(word) for word in tokenizer.stopwords]
        return tokenizer


def _best(docids: list[str], scores: NDArray[Any], depth: int) -> Ranking:
    hits = np.flatnonzero(scores > 0)
    hits = hits[best(scores[hits], depth)]
    return rank([docids[i] for i in hits], scores[hits]).cut(depth)


def _texts(collection: Collection, docids: list[str], progress: bool) -> Iterator[str]:
    items: Iterable[tuple[str, str]] = collection.documents.items()
    for docid, text in with_progress(items, "BM25: indexing", "documents") if progress else items:
        docids.append(docid)
        yield text
