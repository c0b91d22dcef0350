from pathlib import Path

import ir_datasets
import pytest

from limbeck.collections import expand_suites, load_collection, suites
from limbeck.collections.collection import has_queries_in_corpus, relevance_level, require_licensed_corpus
from limbeck.core.errors import MissingError, UsageError


def test_every_member_is_an_id_of_ir_datasets_with_documents_queries_and_judgments():
    members = {member for suite in suites().values() for member in suite}
    assert members <= set(ir_datasets.registry)
    for member in members:
        dataset = ir_datasets.load(member)
        assert dataset.has_docs(), member
        assert dataset.has_queries(), member
        assert dataset.has_qrels(), member


def test_suites_are_as_large_as_their_papers_say():
    assert {name: len(members) for name, members in suites().items()} == {
        "trec-dl": 2, "in-domain": 3, "beir13": 13, "lotte-search": 5, "robust04": 1, "ood": 6, "minified": 7,
        "nanobeir": 13, "bright": 12, "mteb-v2-six": 6,
    }  # fmt: skip
    assert set(suites()["ood"]) == {*suites()["lotte-search"], *suites()["robust04"]}
    assert set(suites()["minified"]) <= {*suites()["in-domain"], *suites()["beir13"]}


def test_touche_is_the_second_version_and_lotte_has_search_queries_only():
    assert [member for member in suites()["beir13"] if "touche" in member] == ["beir/webis-touche2020/v2"]
    assert all(member.endswith("/test/search") for member in suites()["lotte-search"])


def test_binary_measures_take_trec_dl_from_grade_two_and_all_else_from_one():
    levels = {member: relevance_level(member) for suite in suites().values() for member in suite}
    assert {member for member, level in levels.items() if level == 2} == set(suites()["trec-dl"])
    assert set(levels.values()) == {1, 2}


def test_own_documents_are_left_out_where_queries_are_documents():
    for suite in ("beir13", "nanobeir"):
        dropped = [member.split("/")[1] for member in suites()[suite] if has_queries_in_corpus(member)]
        assert dropped == ["arguana", "quora"]


def test_suites_stand_for_their_members_and_what_they_share_is_named_once():
    both = expand_suites(["in-domain", "minified", "mini/test", "beir/nq"])
    assert both[:3] == list(suites()["in-domain"])
    assert both[3:] == [*suites()["minified"][3:], "mini/test", "beir/nq"]
    assert expand_suites(["beir/nq", "beir/nq"]) == ["beir/nq", "beir/nq"]  # whoever checks the names says so


def test_a_suite_is_no_collection_and_names_its_members():
    with pytest.raises(
        UsageError, match=r"trec-dl: is a suite of 2 collections; expected one of them: msmarco-passage/tr"
    ):
        load_collection("trec-dl")


def test_a_licensed_corpus_says_where_it_goes_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ir_datasets.util, "home_path", lambda: tmp_path)
    with pytest.raises(MissingError, match=rf"trec\.nist\.gov/data/cd45.*put them into {tmp_path}/disks45/corpus"):
        load_collection("disks45/nocr/trec-robust-2004")
    (tmp_path / "disks45" / "corpus").mkdir(parents=True)
    require_licensed_corpus("disks45/nocr/trec-robust-2004")
