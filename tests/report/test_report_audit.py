import csv
import io
from typing import Any

import pytest
from rich.console import Console
from typed_results import typed

from limbeck.report import print_report, to_csv, to_html, to_latex, to_markdown
from limbeck.report.audit import audit_sentences, leak_cautions
from limbeck.report.data import summary_json
from limbeck.study.analysis.results import StudyResults
from limbeck.study.plan.audit import AuditedPair, Configuration, FactorDifference

SENTENCE = "BCE and RankNet differ beside the objective in steps (1 / 2): …"


def in_terminal(results: StudyResults) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    print_report(results, console)
    return console.export_text()


@pytest.fixture
def audited(results: dict[str, Any]) -> dict[str, Any]:
    """RankNet on other terms than the rest; two of 60 test queries in the lists, one more nearly."""
    example = {"id": "q1", "text": "<b>Why?</b>", "of": "t1", "of_text": "why", "likeness": 1.0, "same": True}
    counts = {"searched": 100, "against": 60, "without_text": 0, "exact": 2, "near": 1, "share": 0.05, "leaking": 3}
    nothing = {**counts, "exact": 0, "near": 0, "share": 0.0, "leaking": 0, "examples": []}
    results["terms"] = {"minilm-3": {"BCE": "", "InfoNCE": "", "RankNet": "†"}}
    results["leaks"] = [
        {"kind": "lists", "name": "judged", "test": "demo/test", "queries": {**counts, "examples": [example]},
         "documents": nothing},
        {"kind": "validation", "name": "demo/valid", "test": "demo/test", "queries": nothing,
         "documents": nothing},
    ]  # fmt: skip
    results["audit"][1]["sentence"] = SENTENCE
    return results


@pytest.mark.parametrize(
    ("render", "signed", "plain"),
    [
        (in_terminal, "RankNet†", "InfoNCE "),
        (to_markdown, "| RankNet† |", "| InfoNCE |"),
        (to_html, '<th scope="row" class="pin">RankNet†</th>', '<th scope="row" class="pin">InfoNCE</th>'),
        (to_latex, r"RankNet\dag{} &", "InfoNCE &"),
    ],
)
def test_every_table_marks_recipes_on_other_terms_and_says_what_it_means(
    render: Any, signed: str, plain: str, audited: dict[str, Any]
) -> None:
    text = render(typed(audited))
    assert signed in text
    assert plain in text
    assert "cannot be put down to the objective alone" in " ".join(text.split())


@pytest.mark.parametrize("render", [in_terminal, to_markdown, to_latex])
def test_equal_terms_are_not_marked(render: Any, audited: dict[str, Any]) -> None:
    audited["terms"]["minilm-3"]["RankNet"] = ""
    text = render(typed(audited))
    assert [sign for sign in ("†", r"\dag", "other terms") if sign in text] == []


def test_data_for_programs_carry_the_sign(audited: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(typed(audited)))))
    assert {(row["recipe"], row["terms"]) for row in rows if row["kind"] == "recipe"} == {
        ("BCE", ""), ("InfoNCE", ""), ("RankNet", "†"),
    }  # fmt: skip
    assert [recipe["terms"] for recipe in summary_json(typed(audited))["recipes"]] == ["", "", "†"]


@pytest.mark.parametrize("render", [in_terminal, to_markdown, to_html])
def test_test_queries_seen_before_stand_atop(render: Any, audited: dict[str, Any]) -> None:
    text = render(typed(audited))
    caution = "2 of 60 test queries of demo/test in lists judged"
    assert 0 < text.index(caution) < text.index("nDCG@10")


def test_near_ones_alone_are_no_warning(audited: dict[str, Any]) -> None:
    audited["leaks"][0]["queries"]["exact"] = 0
    assert leak_cautions(typed(audited)) == []


@pytest.mark.parametrize("render", [to_markdown, to_html])
def test_leaks_are_counted_with_examples_that_are_escaped(render: Any, audited: dict[str, Any]) -> None:
    text = render(typed(audited))
    assert "2 the same, 1 nearly, of 60 (5.0 %)" in text
    assert "&lt;b&gt;Why?&lt;/b&gt;" in text
    assert "<b>Why" not in text


def test_a_study_that_was_not_searched_says_so(results: dict[str, Any]) -> None:
    assert "Leaks: nothing was searched for them." in to_html(typed(results))
    assert "## Leaks" not in to_markdown(typed(results))


@pytest.mark.parametrize("render", [to_markdown, to_html])
def test_the_audit_stands_in_words(render: Any, audited: dict[str, Any]) -> None:
    assert SENTENCE in render(typed(audited))


def test_backbones_share_a_sentence_that_is_the_same() -> None:
    def pair(backbone: str, sentence: str, *factors: FactorDifference) -> AuditedPair:
        return AuditedPair(Configuration(backbone, "a"), Configuration(backbone, "b"), factors, not factors, sentence)

    steps = FactorDifference("steps", "1", "2")
    audit = [pair("x", "A", steps), pair("x", "B"), pair("y", "A", steps)]
    assert audit_sentences(audit) == ["x: B", "x and y: A"]
    assert audit_sentences(audit[:2]) == ["B", "A"]
