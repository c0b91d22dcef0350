"""From a text to the terms that BM25 counts, in every script."""

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Literal

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


def normal(text: str) -> str:
    """One way to write what reads the same: compatibility composition (NFKC) and case folding (Unicode 15, 3.13)."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", _IGNORED.sub("", text)).casefold()
    return unicodedata.normalize("NFKC", folded)


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
