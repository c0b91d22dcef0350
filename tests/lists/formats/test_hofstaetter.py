def test_scored_triples_keep_both_scores(write, read):
    path = write("scores.tsv", "10.5\t-3.25\t400296\t1540783\t3518497", "9\t8.5\t662731\t193249\t2975302", "")
    first, second = read("hofstaetter", path)
    assert (first.query_id, first.passage_ids) == ("400296", ["1540783", "3518497"])
    assert (first.labels, first.teacher_scores) == ([1, 0], [10.5, -3.25])
    assert second.teacher_scores == [9, 8.5]


def test_a_score_that_is_no_number_is_named(write, refusal):
    for text in ("x", "nan", "inf", "1_0", ""):
        path = write("scores.tsv", "1\t2\t3\t4\t5", f"1\t{text}\t3\t4\t5")
        assert refusal("hofstaetter", path) == (
            f'{path}:2: neg_score is "{text}", expected a finite number such as 12.5'
        )


def test_columns_in_the_order_of_other_files_are_refused(write, refusal):
    path = write("scores.tsv", "400296\t1540783\t3518497")
    assert "expected 5, `pos_score neg_score query_id pos_passage_id neg_passage_id`" in refusal("hofstaetter", path)
