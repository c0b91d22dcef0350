import pytest

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.teachers.llm import known_templates, read_template

OWN = """
kind: listwise
passage: "* [{number}] {text}"
messages:
  - {role: user, content: "{query}: {passages}"}
"""


def test_rank_gpt_has_a_turn_for_each_passage_and_its_receipt():
    chat = read_template("rank_gpt").listwise("why", ["alpha", "beta"])
    assert [turn["role"] for turn in chat] == ["system", "user", *["assistant", "user"] * 3]
    assert [turn["content"] for turn in chat[3:7]] == [
        "[1] alpha", "Received passage [1].", "[2] beta", "Received passage [2].",
    ]  # fmt: skip
    assert chat[1]["content"] == (
        "I will provide you with 2 passages, each indicated by number identifier []. \n"
        "Rank the passages based on their relevance to query: why."
    )
    assert chat[7]["content"].startswith("Search Query: why. \nRank the 2 passages above")


def test_rank_zephyr_has_all_passages_in_one_turn():
    system, user = read_template("rank_zephyr").listwise("why", ["alpha", "beta"])
    assert system["content"].startswith("You are RankLLM")
    assert (
        "search query: why.\n\n[1] alpha\n[2] beta\n\nSearch Query: why.\nRank the 2 passages above" in user["content"]
    )
    assert user["content"].endswith(
        "e.g., [2] > [1], Only respond with the ranking results, do not say any word or explain."
    )


def test_templates_are_known_by_kind():
    assert known_templates("listwise") == ["rank_gpt", "rank_zephyr"]
    assert known_templates("graded") == ["umbrela"]
    assert known_templates("yes-no") == ["monot5", "qwen3_reranker"]


def test_a_template_of_ones_own_is_read_from_its_file_and_told_apart_by_its_content(tmp_path):
    (tmp_path / "own.yaml").write_text(OWN)
    template = read_template(str(tmp_path / "own.yaml"), "listwise")
    assert template.listwise("q", ["a", "b"]) == [{"role": "user", "content": "q: * [1] a\n* [2] b"}]
    (tmp_path / "own.yaml").write_text(OWN + "# changed\n")
    assert read_template(str(tmp_path / "own.yaml")).digest != template.digest


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("{query}:", "{qury}:"), r"messages\.0: \{qury\} is not known here; expected \{count\}"),
        (("{query}:", ""), "expected in it what it is to be filled with: {query}, and {passages} or {passage}"),
        (("kind: listwise", "kind: pairwise"), "kind"),
        (("role: user", "role: robot"), "role"),
        (("passage:", "passsage:"), "passsage"),
        (("[{number}]", "<{number}>"), r"expected \[\{number\}\] in it"),
        (("messages:", "messages: ["), "cannot be read as YAML"),
    ],
)
def test_a_faulty_template_is_refused_with_its_place(tmp_path, change, fault):
    (tmp_path / "own.yaml").write_text(OWN.replace(*change))
    with pytest.raises(DataError, match=fault):
        read_template(str(tmp_path / "own.yaml"))


def test_unknown_and_unfit_templates_are_named(tmp_path):
    with pytest.raises(MissingError, match='did you mean "rank_zephyr"'):
        read_template("rankzephyr")
    with pytest.raises(MissingError, match="no such prompt template"):
        read_template(str(tmp_path / "absent.yaml"))
    with pytest.raises(UsageError, match="is a graded template, expected a listwise one: rank_gpt, rank_zephyr"):
        read_template("umbrela", "listwise")
