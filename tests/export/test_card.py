import pytest

from limbeck.export.card import terms_of_use


@pytest.mark.parametrize("folder", ["/data/demo/train", "./demo/train", "democracy/train"])
def test_a_users_folder_is_not_taken_for_a_known_collection(folder: str) -> None:
    assert terms_of_use([folder]) is None
    assert terms_of_use(["demo/train", folder]) is None


def test_the_terms_of_known_collections_are_given_once() -> None:
    assert terms_of_use(["demo/train", "demo~sentences@1/2"]) == terms_of_use(["demo"])
    assert "non-commercial" in str(terms_of_use(["msmarco-passage/train/judged"]))
    assert terms_of_use([]) is None
