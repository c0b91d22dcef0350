import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import MissingError
from limbeck.study.config.schema import Stage, known_backbones
from limbeck.study.config.study import StudyError, load_study
from limbeck.study.plan.architecture import Architecture
from limbeck.study.plan.plan import lists_per_step
from limbeck.study.run.execute import run_study

StudyFile = Callable[..., Path]


def problem(study_file: StudyFile, study: dict[str, Any]) -> str:
    with pytest.raises(StudyError) as caught:
        load_study(study_file(study))
    return "\n".join(caught.value.problems)


def test_every_backbone_of_the_paper_is_known_with_its_size_and_settings() -> None:
    assert {known.model for known in known_backbones().values()} == {
        "google-bert/bert-base-uncased", "FacebookAI/roberta-base", "google/electra-base-discriminator",
        "microsoft/deberta-v3-base", "microsoft/MiniLM-L12-H384-uncased", "answerdotai/ModernBERT-base",
        "answerdotai/ModernBERT-large",
        *(f"jhu-clsp/ettin-encoder-{size}" for size in ("17m", "32m", "68m", "150m", "400m", "1b")),
    }  # fmt: skip
    mini = {"minilm-l12", "ettin-17m", "ettin-32m", "ettin-68m"}
    for name, known in known_backbones().items():
        assert known.batch == (64 if name in mini else 32)
        assert known.learning_rate == (7e-6 if name in mini | {"modernbert-large"} else 1e-5)
        assert "fp32" in known.precisions
        assert known.licence in ("MIT", "Apache-2.0")


@pytest.mark.parametrize("name", known_backbones())
def test_a_backbones_shape_has_its_published_number_of_weights(name: str) -> None:
    known = known_backbones()[name]
    model = Architecture(known.architecture, known.tokenizer, known.shape).model()
    published = float(known.parameters[:-1]) * {"M": 1e6, "B": 1e9}[known.parameters[-1]]
    # Published numbers are rounded, the 1B to a single digit.
    assert sum(weight.numel() for weight in model.parameters()) == pytest.approx(published, rel=0.035)


def test_deberta_is_never_run_in_half_precision_of_five_exponent_bits() -> None:
    assert [name for name, known in known_backbones().items() if "fp16" not in known.precisions] == ["deberta-v3-base"]


def test_a_short_name_stands_for_model_learning_rate_and_batch(study_file: StudyFile, tiny: dict[str, Any]) -> None:
    tiny["backbones"] = {"minilm-l12": None, "ettin-150m": {"learning_rate": 0.001, "max_length": 128}}
    tiny["recipes"]["BCE"][0] = {"objective": "BCE", "lists": "judged", "steps": 4, "batch_divisor": 8}
    config = load_study(study_file(tiny)).config
    mini, ettin = config.backbones["minilm-l12"], config.backbones["ettin-150m"]
    assert (mini.model, mini.learning_rate, mini.batch) == ("microsoft/MiniLM-L12-H384-uncased", 7e-6, 64)
    assert (ettin.model, ettin.learning_rate, ettin.max_length) == ("jhu-clsp/ettin-encoder-150m", 0.001, 128)


def test_the_batch_is_divided_by_what_a_list_stands_for(study_file: StudyFile, tiny: dict[str, Any]) -> None:
    tiny["backbones"] = {"minilm-l12": None, "bert-base": None}
    study = load_study(study_file(tiny))
    stages = [Stage(objective="BCE", lists="judged", steps=4, batch_divisor=divisor) for divisor in (1, 8, 100)]
    assert [lists_per_step(study, "minilm-l12", stage) for stage in stages] == [64, 8, 1]
    assert [lists_per_step(study, "bert-base", stage) for stage in stages] == [32, 4, 1]


def test_an_unknown_short_name_gives_the_nearest(study_file: StudyFile, tiny: dict[str, Any]) -> None:
    tiny["backbones"] = {"electra-bse": None}
    assert "backbones.electra-bse: is empty; expected a mapping" in problem(study_file, tiny)
    tiny["backbones"] = {"electra-bse": {"learning_rate": 1e-5}}
    found = problem(study_file, tiny)
    assert "backbones.electra-bse: has no model, and is no known backbone" in found
    assert 'did you mean "electra-base"?' in found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["backbones"]["deberta-v3-base"].update(precisions=["fp32"]),
         "optimizer.precision: is bf16, in which deberta-v3-base does not train or run; expected fp32"),
        (lambda s: s["backbones"]["deberta-v3-base"].update(max_length=1024),
         "max_length: is 1024; microsoft/deberta-v3-base takes 512 tokens"),
        (lambda s: s["recipes"]["BCE"][0].update(batch_divisor=8), "needs either lists_per_step or batch_divisor"),
        (lambda s: s["recipes"]["BCE"][0].pop("lists_per_step"), "needs either lists_per_step or batch_divisor"),
        (lambda s: (s["backbones"].update(own={"model": "./bert", "learning_rate": 1e-5, "max_length": 20}),
                    s["recipes"]["BCE"][0].pop("lists_per_step"), s["recipes"]["BCE"][0].update(batch_divisor=8)),
         "batch_divisor: divides a batch, but the backbone own has none"),
    ],
)  # fmt: skip
def test_what_a_known_backbone_cannot_do_is_said_before_anything_is_fetched(
    study_file: StudyFile, tiny: dict[str, Any], change: Callable[[Any], Any], words: str
) -> None:
    tiny["backbones"] = {"deberta-v3-base": {}}
    tiny["optimizer"] = {"precision": "bf16"}
    change(tiny)
    assert words in problem(study_file, tiny)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A Hub on this machine that gates one model and knows no other."""
    import huggingface_hub.constants

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gated = "ettin" in self.path
            self.send_response(403 if gated else 404)
            self.send_header("X-Error-Code", "GatedRepo" if gated else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield address
    server.shutdown()
    server.server_close()


def test_gated_and_missing_models_are_one_error_before_anything_runs(
    study_file: StudyFile, tiny: dict[str, Any], hub: str, tmp_path: Path
) -> None:
    tiny["backbones"] = {
        "ettin-17m": None,
        "bert-base": {"model": "google-bert/bert-base-uncsed", "learning_rate": 1e-5},
        **tiny["backbones"],
    }
    with pytest.raises(MissingError) as caught:
        run_study(load_study(study_file(tiny)), tmp_path / "out")
    first, *rest = str(caught.value).splitlines()
    assert "2 models cannot be had; nothing was run" in first
    assert "jhu-clsp/ettin-encoder-17m: is gated: accept its terms" in rest[0]
    assert "google-bert/bert-base-uncsed: no folder of that name, and the Hub has no such public model" in rest[1]
    assert not (tmp_path / "out").exists()


def test_without_a_network_only_models_in_the_cache_run(
    study_file: StudyFile, tiny: dict[str, Any], hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    tiny["backbones"] = {"bert-base": None}
    with pytest.raises(
        MissingError, match=r"is not in the cache, and the Hub cannot be asked .*`hf download google-bert"
    ):
        run_study(load_study(study_file(tiny)), tmp_path / "out")
