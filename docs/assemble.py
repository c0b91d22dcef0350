"""Assembles what the documentation site is built of, in build/docs: `make docs` runs it, then zensical (mkdocs.yml).

Pages lie there as in the repository, so that their links hold: the README is the first page, a study file is a page
that shows it, and the reference is written from docstrings and from what `--help` prints.
"""

import inspect
import re
import shutil
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import limbeck
from limbeck import objectives
from limbeck.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("*.md", "docs/**/*.md", "studies/*.md", "benchmarks/**/*.md")
LINK = re.compile(r"(\]\((?!https?:|#|mailto:))([^)]+)\)")
SECTIONS = ("Args", "Attributes", "Raises", "Returns", "Yields")
MODULE = re.compile(r"(?<![\w.])(?:\w+[.])+(?=[A-Z])")
FACT = re.compile(r"[A-Z][a-z ]{2,14}: ")


def main() -> None:
    """Write build/docs anew."""
    site = ROOT / "build" / "docs"
    shutil.rmtree(site, ignore_errors=True)
    for page in (page for pattern in PAGES for page in sorted(ROOT.glob(pattern))):
        path = page.relative_to(ROOT)
        text = page.read_text(encoding="utf-8")
        _write(site / ("index.md" if path == Path("README.md") else path), _linked(text))
    for study in sorted(ROOT.glob("studies/*.yaml")):
        _write(
            site / f"studies/{study.name}.md", f"# {study.name}\n\n```yaml\n{study.read_text(encoding='utf-8')}```\n"
        )
    shutil.copytree(ROOT / "docs" / "images", site / "docs" / "images")
    shutil.copy(ROOT / "docs" / "limbeck.ipynb", site / "docs")
    _write(site / "reference/commands.md", commands())
    _write(site / "reference/python.md", python())
    _write(site / "reference/objectives.md", objective_classes())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _linked(text: str) -> str:
    """The page with its links to the README and to study files led to the pages that show them."""
    text = text.replace("](../README.md", "](../index.md")
    return LINK.sub(lambda link: f"{link[1]}{re.sub(r'[.]yaml$', '.yaml.md', link[2])})", text)


def verbs(command: Any, name: str = "limbeck", parent: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """Name, command and context of a command and of all below it, in the order of `--help`.

    These are click's commands and contexts, or those of typer's copy of click.
    """
    context = command.context_class(command, info_name=name.split()[-1], parent=parent)
    yield name, command, context
    for below in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from verbs(command.get_command(context, below), f"{name} {below}", context)


def commands() -> str:
    """Every verb with its arguments and options, as `--help` gives them."""
    page = [
        "# Commands",
        "What `--help` prints, for every verb. [Exit codes](../docs/errors.md#exit-codes).",
    ]
    for name, command, context in verbs(typer.main.get_command(app)):
        if name == "limbeck":
            continue
        page += [f"{'#' * len(name.split())} {name}", *_prose(inspect.cleandoc(command.help or ""))]
        if hasattr(command, "list_commands"):
            continue
        page.append(f"```text\n{name} {' '.join(command.collect_usage_pieces(context))}\n```")
        records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
        rows = [f"| `{option}` | {_cell(told)} |" for option, told in filter(None, records) if "--help" not in option]
        if rows:
            page.append("\n".join(["| option | |", "|---|---|", *rows]))
    return "\n\n".join(page) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", _escaped(text)).replace("|", "\\|")


def python() -> str:
    """limbeck's public names, with the public methods of the classes among them."""
    page = [
        "# Python",
        "`import limbeck as lb`; the workflow from one end to the other is in [From Python](../docs/python.md).",
    ]
    for name in limbeck.__all__:
        thing = getattr(limbeck, name)
        page += [f"## lb.{name}", _signature(f"lb.{name}", thing), *_documented(thing)]
        for method, body in vars(thing).items() if inspect.isclass(thing) else ():
            function = body.__func__ if isinstance(body, classmethod | staticmethod) else body
            if method.startswith("_") or not (isinstance(function, types.FunctionType) and inspect.getdoc(function)):
                continue
            page += [f"### {name}.{method}", _signature(f"{name}.{method}", function), *_documented(function)]
    return "\n\n".join(page) + "\n"


def objective_classes() -> str:
    """Every objective: formula, signal, shapes, usable lists and source."""
    page = [
        "# Objectives",
        "Classes of `limbeck.objectives`, and names in a recipe. They combine: "
        "`RankNet + 0.1*InfoNCE(temperature=0.5)`. "
        "Papers, files and tests: [where objectives come from](../docs/papers.md).",
    ]
    for name, kind in sorted(objectives.classes().items(), key=lambda entry: entry[0].lower()):
        page += [f"## {name}", _signature(kind.__name__, kind), *_documented(kind)]
    return "\n\n".join(page) + "\n"


def _signature(name: str, thing: Any) -> str:
    signature = inspect.signature(thing)
    shown = [str(parameter) for key, parameter in signature.parameters.items() if key not in ("self", "cls")]
    result = "" if signature.return_annotation in (signature.empty, None) else str(signature).rpartition(") -> ")[2]
    names = ", ".join(shown)
    whole = f"{name}({names})" if len(names) < 80 else f"{name}(\n" + "".join(f"    {one},\n" for one in shown) + ")"
    whole += f" -> {result}" if result else ""
    return f"```python\n{MODULE.sub('', whole)}\n```"


def _documented(thing: Any) -> list[str]:
    return _prose(inspect.getdoc(thing) or "")


def _prose(docstring: str) -> list[str]:
    """A docstring's blocks in Markdown: sections as lists, formulas and examples as code, the rest as it is."""
    blocks = []
    for block in re.split(r"\n\s*\n", docstring.strip("\n")):
        first, _, rest = block.partition("\n")
        if block.startswith(">>>"):
            blocks.append(f"```pycon\n{block}\n```")
        elif block.startswith("    "):
            blocks.append(f"```text\n{inspect.cleandoc(block)}\n```")
        elif first.rstrip(":") in SECTIONS and first.endswith(":"):
            blocks += [f"**{first.rstrip(':')}**", _entries(inspect.cleandoc(rest))]
        elif FACT.match(block):
            blocks.append(_entries(block))
        else:
            blocks.append(_escaped(block))
    return blocks


def _entries(text: str) -> str:
    """`name: what it is`, a line or several each, as a list."""
    entries = re.sub(r"\n\s+", " ", text).splitlines()
    pairs = (entry.partition(": ") for entry in entries)
    return "\n".join(f"- **{_escaped(name)}**: {_escaped(told)}" if told else f"- {name}" for name, _, told in pairs)


def _escaped(text: str) -> str:
    """Text in which no `<` begins a tag and no `*` or `_` an emphasis, but for code between backticks."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*_<\[\]])", r"\\\1", part).replace("\\<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    main()
