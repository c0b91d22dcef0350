"""A user's mistake gives one clear text, the right exit code, and no traceback."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Limbeck = Callable[..., Result]
TRAIN = ("train", "--backbone", "bert", "--collection", "mini/train", "--output", "out", "--lists", "mined.parquet")

CASES: list[tuple[int, str, tuple[object, ...]]] = [
    (2, "no-such-verb", ("no-such-verb",)),
    (2, "--output", ("retrieve", "bm25", "--collection", "mini/test")),
    (2, "tset", ("retrieve", "bm25", "--collection", "mini/tset", "--output", "x.run")),
    (2, "depth", ("retrieve", "bm25", "--collection", "mini/test", "--depth", 0, "--output", "x.run")),
    (2, "klingon", ("retrieve", "bm25", "--collection", "mini/test", "--stemmer", "klingon", "--output", "x.run")),
    (3, "absent.run", ("evaluate", "--collection", "mini/test", "absent.run")),
    (2, 'did you mean "nDCG"', ("evaluate", "--collection", "mini/test", "test.run", "--measures", "nDGC@10")),
    (2, "at least two", ("compare", "--collection", "mini/test", "test.run")),
    (5, "bad.run:1", ("evaluate", "--collection", "mini/test", "bad.run")),
    (3, "absent.parquet", ("lists", "show", "absent.parquet")),
    (5, "bad.run", ("lists", "show", "bad.run")),
    (5, "none of the", ("rerank", "--model", "bert", "--collection", "mini/valid", "--run", "test.run",
                        "--output", "x")),
    (3, "./absent", ("rerank", "--model", "./absent", "--collection", "mini/test", "--run", "test.run",
                     "--output", "x")),
    (3, "absent", ("teach", "biencoder", "--model", "./absent", "--collection", "mini/test", "--run", "test.run",
                   "--output", "x")),
    (2, "fp8", ("rerank", "--model", "bert", "--collection", "mini/test", "--run", "test.run", "--output", "x",
                "--precision", "fp8")),
    (2, "expected one of steps, epochs and pairs", (*TRAIN, "--objective", "BCE")),
    (2, "InfoNCE", (*TRAIN, "--objective", "InfoNEC", "--steps", 1)),
    (2, "teacher_scores", (*TRAIN, "--objective", "MSE", "--steps", 1, "--max-length", 20)),
    (2, "beyond the backbone's", (*TRAIN, "--objective", "BCE", "--steps", 1, "--max-length", 99)),
    (2, "learning_rate", (*TRAIN, "--objective", "BCE", "--steps", 1, "--learning-rate", -1)),
    (2, "positive", (*TRAIN, "--objective", "BCE", "--steps", 1, "--sample", "positive=1")),
    (2, "epochs", (*TRAIN, "--objective", "BCE", "--epochs", 0)),
    (2, "a run for each", (*TRAIN, "--objective", "BCE", "--steps", 1, "--validation-collection", "mini/valid")),
    (3, "absent.yaml", ("study", "check", "absent.yaml")),
    (2, "bad.yaml:1", ("study", "check", "bad.yaml")),
    (3, "nowhere", ("study", "status", "nowhere")),
    (3, "nowhere", ("study", "report", "nowhere")),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(materials: Path, limbeck: Limbeck, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The materials, runs and lists made of them, and files with mistakes; not to be written to."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(materials, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        for split in ("train", "test"):
            limbeck("retrieve", "bm25", "--collection", f"mini/{split}", "--depth", 10, "--output", f"{split}.run")
        limbeck("lists", "mine", "--collection", "mini/train", "--run", "train.run", "--output", "mined.parquet")
    (folder / "bad.run").write_text("q1 Q0 d1 1 not-a-number tag\n")
    (folder / "bad.yaml").write_text("naem: x\n")
    return folder


@pytest.fixture
def ready(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own with all of that."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("code", "text", "words"), CASES, ids=[f"{' '.join(map(str, c[2][:2]))}: {c[1]}" for c in CASES]
)
def test_a_mistake_is_named_with_its_exit_code(
    code: int, text: str, words: tuple[object, ...], ready: Path, limbeck: Limbeck
) -> None:
    result = limbeck(*words, code=code)
    assert text in result.stderr
    assert result.stdout == ""
    assert not (ready / "x.run").exists()
    assert not (ready / "out" / "model").exists()


def test_an_interruption_exits_130_and_says_how_to_go_on(
    here: Path, limbeck: Limbeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limbeck.retrieval import BM25

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BM25, "retrieve", interrupted)
    result = limbeck("retrieve", "bm25", "--collection", "mini/test", "--output", "x.run", code=130)
    assert "same command" in result.stderr


def python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "scipy", "pandas", "ir_measures", "ir_datasets", "bm25s", "pyarrow", "matplotlib")
    done = python(
        "import sys\nfrom limbeck.cli import main\nsys.argv = ['limbeck', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert done.returncode == 0, done.stderr
    assert "Train, distil, compare" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_process_itself_ends_with_the_exit_code() -> None:
    done = python(
        "import sys\nfrom limbeck.cli import main\n"
        "sys.argv = ['limbeck', 'retrieve', 'fuse', 'absent.run', 'b.run', '--output', 'c.run']\nmain()"
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_verb_that_several_processes_cannot_share_is_refused(
    limbeck: Limbeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = limbeck("study", "status", "out", code=2)
    assert "torchrun started 2; only train and rerank share work" in result.stderr


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ((*TRAIN, "--objective", "BCE", "--lr", 1), "--learning-rate"),
        ((*TRAIN, "--loss", "BCE"), "--objective"),
        (("evaluate", "--metrics", "AP", "x.run"), "--measures"),
        (("evaluate", "--per_query", "x", "x.run"), "--per-query"),
        (("rerank", "--qt", 3), "--query-tokens"),
    ],
)
def test_an_option_by_another_name_is_met_with_the_right_one(
    words: tuple[object, ...], option: str, limbeck: Limbeck
) -> None:
    assert f"(Possible options: {option})" in limbeck(*words, code=2).stderr


def test_an_argument_that_is_given_as_an_option_is_told_how_it_is_given(limbeck: Limbeck) -> None:
    told = limbeck("evaluate", "--qrels", "x", "--run", "y.run", code=2).stderr
    assert "No such option: --run; run is given without one, as in:" in told
    assert "Possible" not in told


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "x.qrels").write_text("".join(f"q{n} 0 d 1\n" for n in range(20000)))
    (tmp_path / "x.run").write_text("q0 Q0 d 1 1 t\n")
    code = "from limbeck.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, "evaluate", "--qrels", "x.qrels", "x.run", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read().decode()
        assert process.wait() == 0
    assert "rrno" not in told
    assert "BrokenPipe" not in told


def test_a_locale_without_utf_8_gives_whole_output(tmp_path: Path) -> None:
    (tmp_path / "é.qrels").write_text("ü 0 d 1\n", encoding="utf-8")
    (tmp_path / "é.run").write_text("ü Q0 d 1 1 t\n", encoding="utf-8")
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "LC_ALL": "C",
        "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    code = (
        "import sys\nfrom limbeck.cli import main\nwords = sys.argv[1:]\nfor more in ([], ['--json']):\n"
        "    sys.argv[1:] = [*words, *more]\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert not end.code\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "evaluate", "--qrels", "é.qrels", "é.run", "--per-query", "v.csv"],
        cwd=tmp_path, env=environment, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    told, _, found = done.stdout.partition(b"\n{")
    assert b"nDCG@10" in told
    assert json.loads(b"{" + found)["runs"][0]["queries"] == 1
    assert "ü" in (tmp_path / "v.csv").read_text(encoding="utf-8")


def test_a_first_stage_that_finds_nothing_for_any_query_is_no_success(here: Path, limbeck: Limbeck) -> None:
    folder = here / "zh"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d", "text": "面粉太多会使面包变得又硬又密。"}\n', encoding="utf-8")
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "面包"}\n', encoding="utf-8")
    words = ("retrieve", "bm25", "--collection", "zh", "--output", "zh.run")
    assert "1 candidate of 1 query" in limbeck(*words).stdout
    (here / "zh.run").unlink()
    told = limbeck(*words, "--tokenizer", "words", code=5).stderr
    assert "no query of zh found a document, so zh.run is not written" in told
    assert not (here / "zh.run").exists()


FILES = (
    ("retrieve", "bm25", "--collection", "absent"),
    ("retrieve", "fuse", "a.run", "b.run"),
    ("rerank", "--model", "absent", "--collection", "absent", "--run", "absent.run"),
    ("teach", "biencoder", "--model", "absent", "--collection", "absent", "--run", "absent.run"),
    ("lists", "mine", "--collection", "absent"),
    ("lists", "mix", "absent.parquet"),
)
FOLDERS = (
    ("train", "--backbone", "absent"),
    ("study", "run", "absent.yaml"),
    ("study", "rehearse", "absent.yaml"),
    ("calibrate", "--model", "absent", "--collection", "absent", "--run", "absent.run"),
    ("export", "absent"),
    ("demo",),
)


def test_an_output_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path, limbeck: Limbeck) -> None:
    """What is absent would be told of first, if anything were read."""
    file = tmp_path / "file"
    file.touch()
    for words in FILES:
        assert "is a folder" in limbeck(*words, "--output", tmp_path, code=2).stderr
        assert "is a device or a pipe" in limbeck(*words, "--output", "/dev/null", code=2).stderr
    for words in FOLDERS:
        assert "file: is a file" in limbeck(*words, "--output", file, code=2).stderr
    for words in (*FILES, *FOLDERS):
        assert "is a file; expected a folder" in limbeck(*words, "--output", file / "a" / "b", code=2).stderr
    assert Path("/dev/null").is_char_device()
