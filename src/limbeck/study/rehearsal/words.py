"""The language of rehearsals: made-up words, so that texts can be generated and every tokeniser knows them."""

from itertools import product
from random import Random

WORDS = ["".join(parts) for parts in product("bdfklmnprst", "aeiou", ["n", "r", "st", "mo"])]
"""220 words of three or four letters."""


def text(draw: Random, length: int) -> str:
    """So many words."""
    return " ".join(draw.choices(WORDS, k=length))
