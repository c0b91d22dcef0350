"""Ensembles and LLMs as teachers in a study."""

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from limbeck.core.errors import LimbeckError
from limbeck.lists import read_lists
from limbeck.study.analysis.gather import gather
from limbeck.study.config.study import load_study
from limbeck.study.run.execute import run_study
from limbeck.teachers.journal import read_journal


@pytest.fixture
def members(laboratory):
    """Two cross-encoders of random weights beside the study."""
    for name, seed in (("one", 1), ("two", 2)):
        if not (laboratory / name).exists():
            config = BertConfig.from_pretrained(laboratory / "bert", num_labels=1)
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                BertForSequenceClassification(config).save_pretrained(laboratory / name)
            BertTokenizerFast(vocab=str(laboratory / "bert" / "vocab.txt"), model_max_length=24).save_pretrained(
                laboratory / name
            )
    return ["./one", "./two"]


def taught_by(tiny, teacher, objective="RankNet"):
    """The small study with one recipe, which learns from one teacher."""
    stage = {"objective": objective, "lists": "taught", "steps": 2, "lists_per_step": 2}
    taught = tiny["lists"]["taught"] | {"teacher": "wise"}
    return tiny | {"teachers": {"wise": teacher}, "lists": {"taught": taught}, "recipes": {"R": [stage]}, "seeds": 1}


def by_alphabet(server, body, n=0):
    found = sorted(server.passages(body), key=lambda entry: entry[1])
    return " > ".join(f"[{identifier}]" for identifier, _ in found)


@pytest.fixture
def llm(server):
    server.reply = lambda body, n: by_alphabet(server, body)
    return {"llm": "wise-7b", "endpoint": server.url, "window": 4, "step": 2, "key_variable": "LIMBECK_TEST_KEY"}


def test_an_ensemble_teaches_is_measured_and_scores_no_pair_twice(tiny, members, study_file, tmp_path):
    study = taught_by(tiny, {"ensemble": members, "combine": "standardised"}, "MarginMSE")
    assert run_study(load_study(study_file(study)), tmp_path / "out")["done"] == 1
    [lists] = [read_lists(path) for path in (tmp_path / "out" / "shared" / "lists").iterdir()]
    assert lists.signals == {"teacher_scores", "teacher_order"}
    assert lists.metadata["combine"] == "standardised"
    [teacher] = gather(tmp_path / "out").teachers
    assert (teacher.name, len(teacher.values["mini/test"])) == ("wise", 2)
    kept = {path: path.read_bytes() for path in (tmp_path / "out" / "shared" / "teachers").iterdir()}
    assert len(kept) == 2
    # Another list source of the same candidates finds all its scores there.
    study["lists"]["taught"]["depth"] = 5
    assert run_study(load_study(study_file(study)), tmp_path / "out")["done"] == 1
    assert {path: path.read_bytes() for path in kept} == kept


def test_an_llm_teaches_once_for_all_cells_and_its_key_is_kept_nowhere(
    tiny, llm, study_file, tmp_path, server, monkeypatch
):
    monkeypatch.setenv("LIMBECK_TEST_KEY", "sk-secret")
    study = taught_by(tiny, llm) | {"seeds": 2}
    output = tmp_path / "out"
    assert run_study(load_study(study_file(study)), output)["done"] == 2
    asked = len(server.requests)
    assert asked == len({str(body) for body in server.requests}) > 0
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    [lists] = [read_lists(path) for path in (output / "shared" / "lists").iterdir()]
    assert lists.signals == {"teacher_order"}
    assert gather(output).teachers == ()  # what it would cost to measure it is not asked for
    for path in output.rglob("*"):
        assert path.is_dir() or b"sk-secret" not in path.read_bytes()
    study["backbones"]["bert-1"]["learning_rate"] = 0.002
    assert run_study(load_study(study_file(study)), output)["done"] == 2
    assert len(server.requests) == asked


def test_a_budget_that_is_spent_fails_the_cell_and_more_of_it_goes_on(tiny, llm, study_file, tmp_path, server):
    study = taught_by(tiny, llm | {"budget_tokens": 1500, "concurrency": 1})
    output = tmp_path / "out"
    assert run_study(load_study(study_file(study)), output)["failed"] == 1
    asked = len(server.requests)
    assert asked > 0
    study["teachers"]["wise"]["budget_tokens"] = 10**6
    assert run_study(load_study(study_file(study)), output)["done"] == 1
    [calls] = (output / "shared" / "teachers").iterdir()
    made = [record["key"] for record in read_journal(calls) if record["kind"] == "call"]
    assert len(made) == len(set(made)) == len(server.requests) > asked


def test_queries_that_an_llm_refuses_are_left_out_and_none_at_all_is_an_error(tiny, llm, study_file, tmp_path, server):
    server.reply = lambda body, n: "No." if n < 3 else by_alphabet(server, body)
    study = taught_by(tiny, llm | {"concurrency": 1})
    assert run_study(load_study(study_file(study)), tmp_path / "a")["done"] == 1
    [lists] = [read_lists(path) for path in (tmp_path / "a" / "shared" / "lists").iterdir()]
    assert (len(lists), lists.metadata["queries_excluded"]) == (4, "1")
    server.reply = lambda body, n: "No."
    assert run_study(load_study(study_file(study)), tmp_path / "b")["failed"] == 1


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ({}, "teachers.wise: is nothing; expected one of biencoder, ensemble, llm"),
        ({"biencoder": "./bert", "llm": "x"}, "teachers.wise: is biencoder and llm; expected one"),
        ({"llm": "x", "endpoint": "ftp://x"}, "teachers.wise: endpoint: expected a URL"),
        ({"llm": "x", "endpoint": "https://h/v1", "key_variable": "sk-x"}, "teachers.wise: key variable: expected"),
        ({"llm": "x", "endpoint": "https://h/v1", "parameters": {"api_key": "sk-x"}}, "parameter api_key"),
        ({"llm": "x", "endpoint": "http://127.0.0.1:9", "step": 20}, "smaller step"),
        ({"llm": "x", "endpoint": "http://127.0.0.1:9", "prompt": "rank_gtp"}, 'did you mean "rank_gpt"'),
        ({"llm": "x", "endpoint": "http://127.0.0.1:9", "scale": 2}, "teachers.wise.scale: goes with biencoder"),
        ({"llm": "x", "endpoint": "http://127.0.0.1:9", "windows": 2}, "did you mean"),
        ({"ensemble": ["./bert", "./bert"]}, "names a cross-encoder twice"),
        ({"ensemble": ["./gone"]}, "teachers.wise.ensemble"),
    ],
)
def test_a_teacher_that_cannot_be_is_said_before_anything_runs(tiny, study_file, teacher, said):
    with pytest.raises(LimbeckError) as caught:
        load_study(study_file(taught_by(tiny, teacher)))
    assert said in str(caught.value)


def test_an_llm_gives_no_scores_to_learn_from(tiny, llm, study_file):
    with pytest.raises(LimbeckError, match=r"MarginMSE reads teacher_scores, but lists\.taught provides teacher_order"):
        load_study(study_file(taught_by(tiny, llm, "MarginMSE")))


def test_a_judge_gives_the_labels_that_a_student_learns_from(tiny, llm, study_file, tmp_path, server):
    server.reply = lambda body, n: f"##final score: {n % 4}"
    judge = {"judge": llm["llm"], "endpoint": llm["endpoint"], "retries": 0, "timeout": 300, "budget_money": 1}
    study = taught_by(tiny, judge | {"price_in": 0.1, "price_out": 0.1}, "BCE")
    study["lists"]["taught"].pop("labels", None)
    assert run_study(load_study(study_file(study)), tmp_path / "out")["done"] == 1
    [lists] = [read_lists(path) for path in (tmp_path / "out" / "shared" / "lists").iterdir()]
    assert lists.signals == {"labels"}
    assert {grade for grades in lists.labels for grade in grades.tolist()} == {0, 1, 2, 3}
    assert lists.metadata["labels_from"] == "wise-7b"
