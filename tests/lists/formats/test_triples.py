def test_id_triples_are_lists_of_a_positive_and_a_negative(write, read):
    path = write("qidpidtriples.train.full.2.tsv.gz", "1000094\t5399011\t4239068", "1000094\t5399011\t2686428")
    first, second = read("triples", path)
    assert (first.query_id, first.passage_ids, first.labels) == ("1000094", ["5399011", "4239068"], [1, 0])
    assert (first.teacher_scores, first.teacher_order) == (None, None)
    assert (second.passage_ids, second.place.number) == (["5399011", "2686428"], 2)


def test_a_line_cut_off_by_a_broken_download_is_named(write, refusal):
    path = write("triples.tsv", "1\t2\t3", "1\t2")
    assert refusal("triples", path) == (
        f"{path}:2: 2 tab-separated columns; expected 3, `query_id positive_id negative_id`"
    )


def test_a_broken_archive_is_named(write, refusal):
    path = write("triples.tsv.gz", *["1\t2\t3"] * 9)
    path.write_bytes(path.read_bytes()[:-12])
    assert f"{path}:" in refusal("triples", path)
    assert "broken gzip data" in refusal("triples", path)
