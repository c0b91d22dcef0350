"""The `limbeck` command: its verbs, its exit codes, and errors as one clear text."""

import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from limbeck import __version__
from limbeck.cli import compare, demo, doctor, export, lists, push, retrieve, runs, serve, study, teach, train
from limbeck.cli.output import errors
from limbeck.core.errors import LimbeckError, UsageError

INTERRUPTED = 130
TOGETHER = ("train", "rerank")  # verbs that several processes may run together


class _Verbs(TyperGroup):
    """Turns a user's mistake into one clear text and an exit code, wherever a verb raised it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LimbeckError as error:
            errors().print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            errors().print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
            raise typer.Exit(3 if isinstance(error, FileNotFoundError) else 5) from None
        except KeyboardInterrupt:
            errors().print("interrupted; the same command goes on from here", style="yellow")
            raise typer.Exit(INTERRUPTED) from None


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
demo.add_to(app)
retrieve.add_to(app)
runs.add_to(app)
compare.add_to(app)
teach.add_to(app)
lists.add_to(app)
train.add_to(app)
study.add_to(app)
export.add_to(app)
serve.add_to(app)
push.add_to(app)
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
    app()
