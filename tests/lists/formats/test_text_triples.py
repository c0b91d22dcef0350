from limbeck.lists.formats import find_format


def test_text_triples_hold_texts_where_ids_are_elsewhere(write, read):
    line = "is a little caffeine ok during pregnancy\tWe donât know a lot.\tIt is generally safe."
    (row,) = read("text-triples", write("triples.train.small.tsv", line))
    assert row.query_id == "is a little caffeine ok during pregnancy"
    assert row.passage_ids == ["We donât know a lot.", "It is generally safe."]
    assert row.labels == [1, 0]
    assert find_format("text-triples").is_text
