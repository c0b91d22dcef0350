"""The `limbeck` command: its verbs, its exit codes, and errors as one clear text."""

import io
import os
import select
import sys
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from limbeck import __version__
from limbeck.cli import compare, distil, doctor, export, lists, retrieve, runs, service, study, teach, train
from limbeck.cli.output import tell
from limbeck.core.errors import LimbeckError, UsageError

INTERRUPTED = 130
_UsageMistake: Any = typer.BadParameter.__base__  # click's UsageError, be it click's own or of the copy that typer has
TOGETHER = ("train", "rerank")  # verbs that several processes may run together


class _Verbs(TyperGroup):
    """Turns a user's mistake into one clear text and an exit code, wherever a verb raised it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LimbeckError as error:
            tell(f"error: {error}", "red")
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:
            if not _output_is_closed():
                raise
            raise typer.Exit(0) from None
        except OSError as error:
            tell(f"error: {error}", "red")
            raise typer.Exit(3 if isinstance(error, FileNotFoundError) else 5) from None
        except KeyboardInterrupt:
            tell("interrupted; the same command goes on from here", "yellow")
            raise typer.Exit(INTERRUPTED) from None
        except _UsageMistake as error:
            if hasattr(error, "possibilities") and error.ctx:  # an option that there is not
                names = [name for parameter in error.ctx.command.params for name in parameter.opts]
                error.possibilities = similar_options(error.option_name, [name for name in names if name[0] == "-"])
                if (argument := error.option_name.lstrip("-")) in names:
                    error.possibilities = []
                    verb = error.ctx.command_path
                    error.message += f"; {argument} is given without one, as in: {verb} {argument.upper()}"
            raise


COLLOQUIAL = {
    other: name
    for name, others in {
        "learning-rate": "lr", "lists-per-step": "bs batch batch-size", "objective": "loss", "backbone": "model",
        "measures": "m measure metric metrics", "depth": "k topk top-k", "collection": "data dataset corpus",
        "qrels": "qrel", "output": "o out", "precision": "fp16 bf16 dtype", "max-length": "max-len max-seq-length",
        "epochs": "num-epochs num-train-epochs", "steps": "max-steps num-steps",
    }.items()
    for other in others.split()
}  # fmt: skip
"""What other tools call an option, where spelling alone would suggest another."""


def similar_options(given: str, known: Sequence[str]) -> list[str]:
    """The options most like the one that was given: by what other tools call it, by its beginning, by its spelling.

    >>> similar_options("--lr", ["--clip", "--learning-rate"])
    ['--learning-rate']
    """
    name = given.lstrip("-").replace("_", "-").lower()
    other = f"--{COLLOQUIAL.get(name)}"
    if other in known:
        return [other]
    begun = [option for option in known if option.startswith(f"--{name}")] if len(name) > 1 else []
    initials = [option for option in known if "".join(word[0] for word in option.strip("-").split("-") if word) == name]
    return begun or initials or get_close_matches(f"--{name}", known, cutoff=0.6)


def _output_is_closed() -> bool:
    """Whether who read standard output has gone, as `head` does; it is then directed to nowhere."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        if not any(event & select.POLLERR for _, event in poll.poll(0)):
            return False
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # no file behind it, as in a test or a notebook
        return False
    return True


app = typer.Typer(
    cls=_Verbs,
    help="Train, distil, compare and evaluate cross-encoder re-rankers.",
    epilog="Exit codes: 0 done, 2 usage, 3 something is missing, 5 bad data, 7 partly done, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
distil.add_to(app)
retrieve.add_to(app)
runs.add_to(app)
compare.add_to(app)
teach.add_to(app)
lists.add_to(app)
train.add_to(app)
study.add_to(app)
export.add_to(app)
service.add_to(app)
doctor.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"limbeck {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the verb."""
    if context.invoked_subcommand not in TOGETHER and os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError(
            f"{context.invoked_subcommand} runs as one process, torchrun started {os.environ['WORLD_SIZE']}; "
            f"only {' and '.join(TOGETHER)} share work among several"
        )


def main() -> None:
    """Entry point of the `limbeck` command."""
    for stream in (sys.stdout, sys.stderr):
        # A locale such as C, and file names that are no UTF-8, must not turn a message into a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"  # a user need not see which line warns
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _output_is_closed():
            raise
