import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from rich.console import Console
from typer.testing import CliRunner

from limbeck.cli.app import app
from limbeck.core.errors import UsageError
from limbeck.study.config.study import load_study
from limbeck.study.plan.downloads import fetch_study

TRIPLES = b"".join(b"%d.5\t-%d\tq%d\td%d\td%d\n" % (n, n, n, n, n + 5) for n in range(5))
STUDIES = Path(__file__).parents[3] / "studies"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path) -> Iterator[str]:
    """The address of a folder with triples.tsv."""
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "triples.tsv").write_bytes(TRIPLES)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "published")))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_a_study_names_is_put_where_it_looks_and_the_study_is_valid_then(
    published: str, study_file: Callable[..., Path], tiny: dict[str, Any], laboratory: Path
) -> None:
    tiny["lists"]["judged"] = {
        "format": "hofstaetter", "path": "fetched/triples.tsv", "url": f"{published}/triples.tsv",
        "checksum": hashlib.md5(TRIPLES).hexdigest(),
    }  # fmt: skip
    path = study_file(tiny)
    with pytest.raises(UsageError, match=rf"no such file in .*; `limbeck study fetch` puts it there, from {published}"):
        load_study(path)
    [found] = fetch_study(load_study(path, with_files=False), Console(quiet=True))
    assert (found.kind, found.name, found.state) == ("lists", "fetched/triples.tsv", "fetched")
    assert (laboratory / "fetched" / "triples.tsv").read_bytes() == TRIPLES
    [again] = fetch_study(load_study(path), Console(quiet=True))
    assert again.state == "here"
    (laboratory / "fetched" / "triples.tsv").unlink()


def test_what_cannot_be_had_is_named_with_what_to_do_and_stops_nothing_else(
    published: str, study_file: Callable[..., Path], tiny: dict[str, Any], laboratory: Path
) -> None:
    tiny["lists"]["judged"] = {"format": "hofstaetter", "path": "mine.tsv"}
    tiny["lists"]["gone"] = {"format": "hofstaetter", "path": "gone.tsv", "url": f"{published}/gone.tsv"}
    tiny["lists"]["there"] = {"format": "hofstaetter", "path": "there-2.tsv", "url": f"{published}/triples.tsv"}
    stated = {"format": "hofstaetter", "path": "other.tsv", "url": f"{published}/triples.tsv", "checksum": "0" * 32}
    tiny["lists"]["wrong"] = stated
    result = CliRunner().invoke(app, ["study", "fetch", str(study_file(tiny)), "--json"])
    assert result.exit_code == 7
    found = {each["name"]: each for each in json.loads(result.stdout)["fetched"]}
    assert {name: each["state"] for name, each in found.items()} == {
        "mine.tsv": "missing", "gone.tsv": "missing", "there-2.tsv": "fetched", "other.tsv": "missing",
    }  # fmt: skip
    assert f"put it at {laboratory / 'mine.tsv'}, or write its address as url" in found["mine.tsv"]["text"]
    assert "no such file (any more)" in found["gone.tsv"]["text"]
    assert "sent other bytes than were published" in found["other.tsv"]["text"]
    assert "no published sum to compare it with" in found["there-2.tsv"]["text"]
    assert not (laboratory / "other.tsv").exists()
    (laboratory / "there-2.tsv").unlink()


def test_a_model_that_the_hub_gives_no_reason_for_stops_nothing_else(
    study_file: Callable[..., Path], tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(*_: Any, **__: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(huggingface_hub, "snapshot_download", no_answer)
    tiny["backbones"]["bert-1"] |= {"model": "somebody/something", "like": "electra-base"}
    [found] = fetch_study(load_study(study_file(tiny), with_files=False), Console(quiet=True))
    assert (found.kind, found.state) == ("model", "missing")
    assert found.text.endswith("somebody/something: TimeoutError; try again")


def test_a_dry_run_prints_every_address_and_sum_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise AssertionError("a dry run asks nobody")

    monkeypatch.setattr(socket, "create_connection", no_network)
    result = CliRunner().invoke(app, ["study", "fetch", str(STUDIES / "paper.yaml"), "--dry-run", "--json"])
    assert result.exit_code == 0
    found = {each["name"].removeprefix("data/"): each for each in json.loads(result.stdout)["downloads"]}
    triples = found["qidpidtriples.train.full.2.tsv.gz"]
    assert triples["url"].startswith("https://msmarco.z22.web.core.windows.net/")
    assert (triples["bytes"], triples["checksum"]) == (1_841_693_309, "4e58f45f82f3fe99e3239ecffd8ed371")
    colbert = found["__colbert__msmarco-passage-train-judged.run"]
    assert colbert["url"].startswith("https://zenodo.org/records/12528410/files/__colbert__")
    assert colbert["checksum"] == "6ed152027f7270f32fcbfaaa6def951e"
    assert found["msmarco-passage/collectionandqueries"]["checksum"]
    plain = CliRunner().invoke(app, ["study", "fetch", str(STUDIES / "paper.yaml"), "--dry-run"]).stdout
    assert colbert["url"] in plain
    assert "gated: accept" in plain


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_file_of_a_published_study_has_an_address_and_a_sum(file: Path) -> None:
    from limbeck.study.plan.downloads import downloads

    files = [each for each in downloads(load_study(file, with_files=False)) if each.kind in ("lists", "run")]
    assert all(each.url and each.checksum for each in files if each.name.startswith("data/"))
