from limbeck.lists.text_lookup import TextIds


def test_a_text_is_found_whatever_its_blanks_and_the_first_of_equal_ones_counts():
    ids = TextIds([("d1", "water  boils"), ("d2", "iron melts"), ("d3", " water boils")])
    assert [ids.find(text) for text in ("water boils\n", "iron  melts", "iron")] == ["d1", "d2", None]
    assert TextIds([]).find("iron") is None


def test_a_text_whose_utf_8_was_taken_for_latin_1_is_the_text_that_it_was():
    texts = {"d1": "we don’t know", "d2": "a café in Zürich", "d3": "two\xa0words", "d4": "水と油", "d5": "油と水"}
    ids = TextIds(texts.items())
    for text_id, text in texts.items():
        misread = text.encode().decode("latin-1")
        assert misread != text
        assert ids.find(text) == ids.find(misread) == ids.find(misread.encode().decode("latin-1")) == text_id
    assert ids.find("Ã") is None
