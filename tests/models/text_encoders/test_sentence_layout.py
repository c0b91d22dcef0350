import json

import pytest

from limbeck.core.errors import DataError, UsageError
from limbeck.models.sentence_transformers import SentenceLayout, read_sentence_layout
from limbeck.models.sources import resolve


def layout_of(folder):
    return read_sentence_layout(resolve(str(folder)))


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pooling_is_read_in_the_old_and_the_new_spelling(write_checkpoint, pooling, new):
    assert layout_of(write_checkpoint(pooling, new)).pooling == pooling


def test_the_longest_text_and_the_case_are_read(write_checkpoint):
    assert layout_of(write_checkpoint()).max_length == 8
    layout = layout_of(write_checkpoint(transformer={"max_seq_length": 5, "do_lower_case": True}, name="other"))
    assert (layout.max_length, layout.lower_case) == (5, True)


def test_a_plain_checkpoint_has_the_defaults(write_roberta):
    assert layout_of(write_roberta()) == SentenceLayout("mean", None, False, {"query": "", "document": ""})


def test_pooling_settings_are_found_without_a_list_of_modules(write_checkpoint):
    folder = write_checkpoint("cls")
    (folder / "modules.json").unlink()
    assert layout_of(folder).pooling == "cls"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"prompts": {"query": "Query:", "document": ""}}, {"query": "Query:", "document": ""}),
        ({"prompts": {"query": "q", "passage": "p"}}, {"query": "q", "document": "p"}),
        ({"prompts": {"all": "x"}, "default_prompt_name": "all"}, {"query": "x", "document": "x"}),
        ({"prompts": {"all": "x"}, "default_prompt_name": None}, {"query": "", "document": ""}),
        ({"__version__": {}}, {"query": "", "document": ""}),
    ],
)
def test_prompts_are_those_of_queries_and_documents(write_checkpoint, config, expected):
    assert layout_of(write_checkpoint(prompts=config)).prompts == expected


@pytest.mark.parametrize(
    ("modules", "config", "similarity"),
    [
        (("Transformer", "Pooling"), {}, "cosine"),
        (("Transformer", "Pooling"), {"similarity_fn_name": None}, "cosine"),
        (("Transformer", "Pooling"), {"similarity_fn_name": "dot"}, "dot"),
        (("Transformer", "Pooling", "Normalize"), {"similarity_fn_name": "dot"}, "cosine"),
        (("Transformer", "Pooling"), {"similarity_fn_name": "euclidean"}, "euclidean"),
    ],
)
def test_the_similarity_is_the_one_that_the_checkpoint_names(write_checkpoint, modules, config, similarity):
    assert layout_of(write_checkpoint(modules=modules, prompts=config)).similarity == similarity


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"modules": ("Transformer", "Pooling", "Dense")}, ["sentence_transformers.models.Dense", "modules.json"]),
        ({"modules": ("Transformer", "Pooling", "Dense"), "new": True}, ["base.modules.dense.Dense"]),
        ({"modules": ("Transformer", "Normalize")}, ["one Transformer and one Pooling"]),
        ({"pooling": "max"}, ["pooling max", "mean, cls"]),
        ({"pooling": "lasttoken", "new": True}, ["pooling lasttoken", "1_Pooling/config.json"]),
        ({"pooling": ["cls", "mean"], "new": True}, ["pooling cls + mean"]),
        ({"transformer": {"transformer_task": "fill-mask"}}, ["task fill-mask"]),
        ({"prompts": {"prompts": {"query": "q"}}, "include_prompt": False, "new": True}, ["leaves the prompt out"]),
    ],
)
def test_what_would_give_other_embeddings_is_refused(write_checkpoint, options, words):
    with pytest.raises(UsageError) as caught:
        layout_of(write_checkpoint(**options))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_modules_of_another_library_are_refused(write_checkpoint):
    folder = write_checkpoint()
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "custom_st.Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(UsageError, match=r"custom_st\.Transformer"):
        layout_of(folder)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("modules.json", "{", "not JSON"),
        ("modules.json", "{}", "not a list of modules"),
        ("1_Pooling/config.json", "[]", "expected a JSON object"),
        ("sentence_bert_config.json", '{"max_seq_length": "x"}', "max_seq_length is 'x'"),
    ],
)
def test_a_malformed_file_is_refused_by_name(write_checkpoint, file, content, words):
    folder = write_checkpoint()
    (folder / file).write_text(content)
    with pytest.raises(DataError, match=words):
        layout_of(folder)
