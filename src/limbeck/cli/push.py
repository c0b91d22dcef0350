"""The verb that publishes an exported model."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.output import Json, errors, print_json, print_table


def add_to(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("push")(push)


def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `limbeck export` wrote.")],
    repo: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the Hub; made if it is not there.")],
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public; default: private.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Upload; without it, only show what would be uploaded.")] = False,
    json: Json = False,
) -> None:
    """Show what publishing a model on the Hub would upload; with --yes, do it. The token is read from HF_TOKEN."""
    from limbeck.export import plan_upload
    from limbeck.export import push as upload_all

    upload = plan_upload(folder, repo, private=not public)
    if not json:
        rows = [(name, f"{size:,}") for name, size in upload.files.items()]
        kind = "private" if upload.private else "public"
        caption = f"{len(rows)} files, {upload.bytes:,} bytes, to {repo}, which is {kind} unless it is there already"
        print_table(("file", "bytes"), rows, caption)
    address = upload_all(upload) if yes else None
    if json:
        print_json(
            {"repo": repo, "private": upload.private, "files": upload.files, "bytes": upload.bytes, "uploaded": address}
        )
    elif address:
        typer.echo(f"uploaded: {address}")
    else:
        errors().print("nothing was uploaded; --yes does it", highlight=False, markup=False)
