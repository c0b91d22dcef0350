import math
from shutil import which
from types import SimpleNamespace

import pytest

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.evaluation import canonical, measure_run
from limbeck.runs import Run, read_run


def collection(qrels, **more) -> Collection:
    return Collection("toy", {}, dict.fromkeys(qrels, "text"), qrels, tuple(qrels), **more)


def value(qrels, scores, measure, **more) -> float:
    return measure_run(collection({"q": qrels}, **more), Run.from_scores("r", {"q": scores}), [measure]).mean(measure)


def test_ndcg_has_linear_gains_as_in_trec_eval():
    dcg = 1 + 3 / math.log2(3)
    ideal = 3 + 1 / math.log2(3)
    assert value({"a": 1, "b": 3}, {"a": 2.0, "b": 1.0}, "nDCG@10") == pytest.approx(dcg / ideal)


TIED = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}


@pytest.mark.parametrize(
    ("measure", "provider_sees_the_first"),
    [
        ("RR", 1),
        ("RR@10", 1),
        ("P@1", 1),
        ("Success@1", 1),
        ("AP", 1),
        ("R@1", 1),
        ("nDCG@1", 1),
        pytest.param(
            "ERR@1", 1 / 16, marks=pytest.mark.skipif(not which("perl"), reason="ERR is computed by a perl program")
        ),
    ],
)
def test_every_provider_sees_one_ranking_where_scores_tie(measure, provider_sees_the_first):
    """trec_eval's rule puts the greater docid first; other providers have it the other way round or take any order."""
    assert value({"d": 1}, TIED, measure) == pytest.approx(provider_sees_the_first, abs=1e-4)
    assert value({"a": 1}, TIED, measure) < provider_sees_the_first


def test_scores_that_float32_cannot_tell_apart_keep_their_order():
    assert value({"a": 1}, {"a": 1.0 + 1e-12, "b": 1.0}, "nDCG@1") == 1


def test_every_judged_query_counts_and_the_gaps_are_told():
    qrels = {"found": {"a": 1}, "missing": {"a": 1}, "hopeless": {"a": 0}, "short": {"b": 1}}
    run = Run.from_scores(
        "r",
        {
            "found": {"a": 2, "b": 1, "c": 0},
            "hopeless": {"a": 3, "b": 2, "c": 1},
            "short": {"a": 2, "b": 1},
            "unjudged": {"a": 1},
        },
    )
    result = measure_run(collection(qrels), run, ["RR@2", "nDCG@2", "P@1", "Judged@1"])
    assert result.values["RR@2"] == {"found": 1, "missing": 0, "hopeless": 0, "short": 0.5}
    for measure in result.measures:
        assert list(result.values[measure]) == list(qrels)
    assert result.mean("RR@2") == 1.5 / 4
    assert (result.queries, result.scored, result.unjudged_queries) == (4, 3, 1)
    assert result.missing == ("missing",)
    assert result.short == ("short",)


def test_candidates_fewer_than_the_cut_off_are_short():
    run = Run.from_scores("r", {"q": {"a": 2, "b": 1}})
    assert measure_run(collection({"q": {"a": 1}}), run, ["P@2"]).short == ()
    assert measure_run(collection({"q": {"a": 1}}), run, ["P@2", "R@3"]).short == ("q",)


@pytest.mark.parametrize("measure", ["RR", "RR@10", "AP", "P@1", "Success@1", "R@1", "Rprec"])
def test_binary_measures_take_the_collections_relevance_level(measure):
    qrels, scores = {"a": 1, "b": 2}, {"a": 2.0, "b": 1.0}
    assert value(qrels, scores, measure, relevance_level=1) > value(qrels, scores, measure, relevance_level=2)
    explicit = measure.replace("@", "(rel=1)@") if "@" in measure else f"{measure}(rel=1)"
    assert value(qrels, scores, explicit, relevance_level=2) == value(qrels, scores, explicit, relevance_level=1)


def test_an_explicit_relevance_level_stands_beside_the_collections():
    run = Run.from_scores("r", {"q": {"a": 3, "b": 2, "c": 1}})
    result = measure_run(collection({"q": {"a": 1, "b": 2, "c": 3}}, relevance_level=2), run, ["RR", "RR(rel=3)"])
    assert {name: result.mean(name) for name in result.measures} == {"RR": 1 / 2, "RR(rel=3)": pytest.approx(1 / 3)}


def test_ndcg_keeps_its_grades_at_any_relevance_level():
    qrels, scores = {"a": 1, "b": 2}, {"a": 2.0, "b": 1.0}
    assert value(qrels, scores, "nDCG@10", relevance_level=2) == value(qrels, scores, "nDCG@10") > 0.8


def test_counts_of_documents_stay_counts():
    assert value({"a": 1}, {"a": 2.0, "b": 1.0}, "NumRet", relevance_level=2) == 2


def test_measures_do_not_change_each_other():
    qrels, run = {"q": {"a": 1, "b": 2}}, Run.from_scores("r", {"q": {"a": 2, "b": 1}})
    together = measure_run(collection(qrels), run, ["nDCG(gains={1:0,2:1})@10", "nDCG@10", "AP(rel=2)"])
    for measure in together.measures:
        assert together.mean(measure) == measure_run(collection(qrels), run, [measure]).mean(measure)


def test_the_querys_own_document_is_removed_where_the_collection_says_so():
    qrels, run = {"q": {"a": 1}}, Run.from_scores("r", {"q": {"q": 2, "a": 1}, "unjudged": {"a": 1}})
    assert measure_run(collection(qrels), run, ["RR"]).mean("RR") == 0.5
    assert measure_run(collection(qrels, drop_query_document=True), run, ["RR"]).mean("RR") == 1


def test_a_passage_that_a_query_must_not_be_answered_by_takes_no_rank():
    """BRIGHT judges it -100: it is neither right nor wrong."""
    scores = {"excluded": 3.0, "wrong": 2.0, "right": 1.0}
    assert value({"right": 1, "excluded": -100}, scores, "RR") == 1 / 2
    assert value({"right": 1, "excluded": -1}, scores, "RR") == 1 / 3


def test_measures_go_by_one_name():
    run = Run.from_scores("r", {"q": {"a": 1}})
    result = measure_run(collection({"q": {"a": 1}}), run, ["MRR@10", "RR@10", "NDCG@10"])
    assert result.measures == ("RR@10", "nDCG@10") == tuple(result.values)
    assert result.mean("MRR@10") == 1
    with pytest.raises(UsageError, match="AP was not measured; there are RR@10, nDCG@10"):
        result.mean("AP")


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ("nDGC@10", 'unknown measure "nDGC"; did you mean "nDCG"?'),
        ("ndcg@10", 'unknown measure "ndcg"; did you mean'),
        ("nDCG@0", "is cut off at 0; expected 1 or more"),
        ("nDCG@-1", 'cannot read the measure "nDCG@-1"'),
        ("nDCG@ten", 'cannot read the measure "nDCG@ten"'),
        ("nDCG@1.5", "invalid param cutoff=1.5"),
        ("nDCG(k=3)", 'no parameter "k"; expected one of cutoff'),
        ("", "expected one such as nDCG@10"),
        ("P", "needs a cutoff, as in P@10"),
        ("2+3", "cannot read"),
        ("RBP(rel=1)", "cannot be computed here"),
    ],
)
def test_a_wrong_measure_is_refused_with_what_was_expected(measure, message):
    with pytest.raises(UsageError) as error:
        value({"a": 1}, {"a": 1.0}, measure)
    assert message in str(error.value)


def test_a_value_that_a_provider_does_not_give_is_no_zero(monkeypatch):
    found = value({"a": 0}, {"a": 1.0}, "nDCG@10")
    assert found == 0  # nothing is relevant: undefined, and counted as 0
    from limbeck.evaluation import measure

    monkeypatch.setattr(measure.ir_measures, "evaluator", lambda *_: SimpleNamespace(iter_calc=lambda _: iter(())))
    with pytest.raises(DataError, match='nDCG@10 has no value for query "q" of toy'):
        value({"a": 1}, {"a": 1.0}, "nDCG@10")


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        ({"a": 99999999999999999}, "the grade 99999999999999999 is beyond"),
        ({"a": -(10**9)}, "the grade -1000000000 is beyond"),
        ({"a\x00b": 1}, r"the id 'a\\x00b' holds a control character"),
    ],
)
def test_judgments_that_measures_cannot_take_are_refused(qrels, message):
    with pytest.raises(DataError, match=message):
        value(qrels, {"a": 1.0}, "nDCG@10")


def test_the_highest_grade_that_is_taken_is_measured():
    assert value({"a": 100_000, "b": 1}, {"a": 2.0, "b": 1.0}, "nDCG@10") == 1


def test_queries_that_trec_eval_would_order_otherwise_are_counted():
    runs = {
        "exact": {"a": 2.0, "b": 1.0},
        "large": {"a": 16777217.0, "b": 16777216.0},  # 2**24 + 1 is no 32-bit float
        "harmless": {"b": 16777217.0, "a": 16777216.0},
        "huge": {"a": 1e300, "b": 1e200},
    }
    found = measure_run(collection({name: {"a": 1} for name in runs}), Run.from_scores("r", runs), ["RR"])
    assert found.float32_ties == 2
    assert found.mean("RR") == (1 + 1 + 0.5 + 1) / 4


def test_an_evaluation_says_on_what_terms_it_was_made():
    run = Run.from_scores("r", {"q": {"a": 1}})
    terms = collection({"q": {"a": 1}}).measured_as(relevance=2, own_document="remove")
    found = measure_run(terms, run, ["nDCG@10", "RR@10", "P(rel=1)@1", "NumRet"])
    assert (found.relevance_level, found.own_document_removed, found.binary) == (2, True, ("RR@10",))
    assert terms.measured_as(own_document="keep").relevance_level == 2
    with pytest.raises(UsageError, match="expected a grade of 1 or more"):
        terms.measured_as(relevance=0)


def test_no_measure_is_refused():
    with pytest.raises(UsageError, match="no measure"):
        measure_run(collection({"q": {"a": 1}}), Run.from_scores("r", {"q": {"a": 1}}), [])


def test_a_run_of_another_collection_is_refused():
    run = Run.from_scores("theirs", {"x1": {"a": 1}})
    with pytest.raises(DataError, match=r'theirs ranks none of the 1 judged queries of toy; it has "x1"'):
        measure_run(collection({"q": {"a": 1}}), run, ["AP"])
    with pytest.raises(DataError, match="no judgments"):
        measure_run(collection({}), run, ["AP"])


def test_names_are_canonical():
    assert canonical("MAP") == "AP"


README = [
    ("trec-dl20", "bm25", 0.4796),
    ("trec-dl20", "bm25-rm3", 0.4896),
    ("trec-dl20", "tas-b", 0.6854),
    ("trec-dl20", "ada2", 0.6759),
    ("trec-dl20", "splade-pp-ed", 0.7197),
    ("trec-dl21", "bm25", 0.4458),
    ("trec-dl21", "bm25-rm3", 0.4455),
    ("trec-dl21", "splade-pp-ed", 0.6846),
    ("scifact", "bm25", 0.676),
    ("cranfield", "bm25", 0.352),
]


@pytest.mark.parametrize(("folder", "name", "expected"), README)
def test_published_runs_measure_as_published(shared_data, folder, name, expected):
    """To every digit that is stated."""
    qrels: dict[str, dict[str, int]] = {}
    for line in (shared_data / folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query_id, docid, grade = line.split("\t")
        qrels.setdefault(query_id, {})[docid] = int(grade)
    run = read_run(shared_data / folder / "runs" / f"{name}.run.gz")
    digits = len(str(expected)) - 2
    assert round(measure_run(collection(qrels), run, ["nDCG@10"]).mean("nDCG@10"), digits) == expected
