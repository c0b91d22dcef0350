import pytest

from limbeck.export.card import _terms


@pytest.mark.parametrize("folder", ["/data/demo/train", "./demo/train", "democracy/train"])
def test_a_users_folder_is_not_taken_for_a_known_collection(folder: str) -> None:
    assert _terms([folder]) is None
    assert _terms(["demo/train", folder]) is None


def test_the_terms_of_known_collections_are_given_once() -> None:
    assert _terms(["demo/train", "demo~sentences@1/2"]) == _terms(["demo"])
    assert "non-commercial" in str(_terms(["msmarco-passage/train/judged"]))
    assert _terms([]) is None
