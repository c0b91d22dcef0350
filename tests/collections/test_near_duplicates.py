import os
import random
from itertools import product
from pathlib import Path

import pytest

from limbeck.collections import load_collection
from limbeck.collections.near_duplicates import ALIKE, KnownTexts, normalised

DATA = Path(os.environ.get("LIMBECK_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
draw = random.Random(5)
WORDS = ["".join(draw.choices("abcdefghiklmnoprstuvwy", k=draw.randint(2, 9))) for _ in range(2000)]


def sentences(seed: int, count: int, words: int) -> list[str]:
    """Texts of random words, the first words of the vocabulary far likelier than the last."""
    random_ = random.Random(seed)
    weights = [1 / (place + 2) for place in range(len(WORDS))]
    return [" ".join(random_.choices(WORDS, weights, k=words)) for _ in range(count)]


def jaccard(a: str, b: str) -> float:
    one, other = ({f" {text} "[place : place + 3] for place in range(len(text))} for text in (a, b))
    return len(one & other) / len(one | other)


@pytest.mark.parametrize(
    "variant",
    [
        "What is a limbeck, and who used it?",
        "WHAT IS A LIMBECK AND WHO USED IT",
        "  what is\ta limbeck -- and who used it ",
        "what is a “limbeck” and who used it…",
        "ｗｈａｔ is a limbeck and who used it",
    ],
)
def test_case_punctuation_blanks_and_width_do_not_count(variant: str) -> None:
    known = KnownTexts(["something else", "What is a limbeck and who used it?"])
    assert [(found.number, found.same, found.likeness) for found in known.find(variant)] == [(1, True, 1.0)]


def test_every_copy_of_a_known_text_is_found() -> None:
    assert [found.number for found in KnownTexts(["One text.", "one text", "two"]).find("ONE TEXT")] == [0, 1]


def test_letters_of_every_script_tell_texts_apart() -> None:
    known = KnownTexts(["что такое перегонный куб", "蒸馏器是什么"])
    assert [found.number for found in known.find("蒸馏器是什么？")] == [1]
    assert not list(known.find("что такое хлеб"))


def test_one_word_changed_of_twelve_is_found_as_near() -> None:
    texts = sentences(1, 300, 12)
    changed = []
    for number, text in enumerate(texts):
        words = text.split()
        words[number % 12] = WORDS[-1 - number]
        changed.append(" ".join(words))
    known = KnownTexts(texts)
    found = [[alike for alike in known.find(text) if alike.number == number] for number, text in enumerate(changed)]
    assert sum(map(bool, found)) >= 0.95 * len(texts)
    assert not any(alike.same for some in found for alike in some)


def test_nothing_is_found_among_unrelated_texts() -> None:
    known = KnownTexts(sentences(2, 500, 9))
    assert [found for text in sentences(3, 500, 9) for found in known.find(text)] == []


@pytest.mark.skipif(not (DATA / "scifact").is_dir(), reason="real collections are not here (LIMBECK_TEST_DATA)")
def test_nothing_is_found_among_claims_of_medicine_and_questions_of_aerodynamics() -> None:
    claims = load_collection(str(DATA / "scifact/train")).queries
    known = KnownTexts(list(load_collection(str(DATA / "cranfield")).queries.values()))
    assert [found for text in claims.values() for found in known.find(text)] == []


def test_what_is_found_is_measured_exactly_and_little_is_missed() -> None:
    texts = sentences(4, 150, 10)
    random_ = random.Random(6)
    others = []
    for text in texts:
        words = text.split()
        for place in random_.sample(range(10), random_.randint(0, 4)):
            words[place] = random_.choice(WORDS)
        others.append(" ".join(words))
    known = KnownTexts(texts)
    found = {(number, alike.number): alike for number, text in enumerate(others) for alike in known.find(text)}
    truth = {(one, other): jaccard(others[one], texts[other]) for one, other in product(range(150), range(150))}
    assert all(alike.likeness == pytest.approx(truth[pair], abs=1e-3) for pair, alike in found.items())
    assert min(alike.likeness for alike in found.values()) >= ALIKE
    clear = {pair for pair, value in truth.items() if value >= 0.7}
    assert len(clear) > 50
    assert len(clear & set(found)) >= 0.98 * len(clear)


def test_the_same_words_in_another_order_are_not_the_same() -> None:
    [found] = KnownTexts(["the dog bit the man the dog"]).find("the man the dog bit the dog")
    assert not found.same


@pytest.mark.parametrize("text", ["", "?!", " \n"])
def test_a_text_without_a_letter_is_like_nothing(text: str) -> None:
    assert normalised(text) == ""
    assert not list(KnownTexts([text, "a"]).find(text))


def test_the_shortest_text_is_found() -> None:
    assert [found.same for found in KnownTexts(["x", "y"]).find("X")] == [True]


def test_nothing_is_like_no_text() -> None:
    assert not list(KnownTexts([]).find("anything"))
