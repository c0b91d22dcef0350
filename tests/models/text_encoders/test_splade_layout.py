import json

import pytest

from limbeck.core.errors import UsageError
from limbeck.models.sentence_transformers import SpladeLayout, read_splade_layout
from limbeck.models.sources import resolve


def layout_of(folder):
    return read_splade_layout(resolve(str(folder)))


@pytest.mark.parametrize("spelling", ["old", "new"])
def test_a_sparse_encoder_s_settings_are_read_in_both_spellings(write_splade, spelling):
    assert layout_of(write_splade(spelling)) == SpladeLayout("max", "relu", 8)
    other = write_splade(spelling, {"pooling_strategy": "sum", "activation_function": "log1p_relu"}, name="other")
    assert layout_of(other) == SpladeLayout("sum", "log1p_relu", 8)


def test_a_plain_masked_language_model_has_the_defaults(write_splade):
    assert layout_of(write_splade("plain")) == SpladeLayout("max", "relu", None, False, {"query": "", "document": ""})


def test_prompts_are_those_of_queries_and_documents(write_splade):
    folder = write_splade()
    config = {"prompts": {"query": "q: ", "passage": "p: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config))
    assert layout_of(folder).prompts == {"query": "q: ", "document": "p: "}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kinds": ("Router", "SpladePooling")}, ["models.Router", "modules.json"]),
        ({"kinds": ("MLMTransformer", "Pooling")}, ["models.Pooling"]),
        ({"kinds": ("SpladePooling", "MLMTransformer")}, ["one MLMTransformer or Transformer and one SpladePooling"]),
        ({"pooling": {"pooling_strategy": "mean"}}, ["the pooling mean", "max, sum", "1_SpladePooling/config.json"]),
        ({"pooling": {"activation_function": "gelu"}}, ["the activation gelu"]),
        ({"spelling": "new", "transformer": {}}, ["task feature-extraction"]),
    ],
)
def test_what_would_give_other_weights_is_refused(write_splade, options, words):
    with pytest.raises(UsageError) as caught:
        layout_of(write_splade(**options))
    assert all(word in str(caught.value) for word in words), str(caught.value)
