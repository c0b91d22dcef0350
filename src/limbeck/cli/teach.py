"""Verbs of teachers that score: stronger models turn a run's candidates into lists with signals."""

from typing import Annotated

import typer

from limbeck.cli import teach_llm, teach_report
from limbeck.cli.list_options import (
    Candidates,
    Depth,
    Kept,
    Output,
    Precision,
    Ranking,
    print_description,
    write_ranking,
)
from limbeck.cli.output import CollectionName, Json, errors, load


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    teachers = typer.Typer(help="Teachers: turn a run's candidates into training lists.", no_args_is_help=True)
    teachers.command("biencoder")(biencoder)
    teachers.command("ensemble")(ensemble)
    teachers.command("pointwise")(pointwise)
    teach_llm.add_to(teachers)
    teachers.command("report")(teach_report.report)
    app.add_typer(teachers, name="teach")


def biencoder(
    model: Annotated[str, typer.Option(help="sentence-transformers checkpoint: folder, Hub id or package:NAME/PATH.")],
    collection: CollectionName,
    run: Candidates,
    output: Output,
    depth: Depth = None,
    scale: Annotated[float, typer.Option(help="Factor of the cosine.")] = 1.0,
    json: Json = False,
) -> None:
    """Score a run's candidates with a bi-encoder: cosine of query and passage. Embeddings are kept in the cache."""
    from limbeck.lists import candidates_to_teach, lists_from_scores, write_lists
    from limbeck.runs import read_run
    from limbeck.teachers import BiEncoder, biencoder_scores

    data = load(collection)
    candidates, part = candidates_to_teach(data, read_run(run), depth)
    teacher = BiEncoder.load(model)
    details = {"teacher_version": teacher.version, "teacher_scale": repr(scale)}
    scores = biencoder_scores(teacher, data, part, scale, errors())
    lists = lists_from_scores(candidates, scores, teacher.name, details)
    write_lists(lists, output)
    print_description(lists, output, json)


def ensemble(
    model: Annotated[
        list[str],
        typer.Option(help="Cross-encoder: folder, Hub id or package:NAME/PATH; give it once for each member."),
    ],
    collection: CollectionName,
    run: Candidates,
    output: Output,
    depth: Depth = None,
    combine: Annotated[
        str, typer.Option(help="mean of the scores as they are, or standardised for each query first.")
    ] = "mean",
    scores: Kept = None,
    ranking: Ranking = None,
    max_length: Annotated[int | None, typer.Option(help="Longest pair in tokens; default each model's own.")] = None,
    precision: Precision = "fp32",
    json: Json = False,
) -> None:
    """Average the scores of cross-encoders. Each member's are kept: only what is new is scored the next time."""
    from limbeck.lists import candidates_to_teach, lists_from_scores, write_lists
    from limbeck.runs import read_run
    from limbeck.teachers import ensemble_scores

    data = load(collection)
    candidates, part = candidates_to_teach(data, read_run(run), depth)
    folder = scores or output.with_suffix(".scores")
    found = ensemble_scores(model, data, part, folder, combine, precision, max_length, errors())
    details = {"teacher_version": " + ".join(found.versions.values()), "combine": combine, "scores": str(folder)}
    lists = lists_from_scores(candidates, found.scores, " + ".join(found.versions), details)
    write_lists(lists, output)
    write_ranking(lists, ranking)
    print_description(lists, output, json)


def pointwise(
    model: Annotated[str, typer.Option(help="Language model: folder, Hub id, package:NAME/PATH or a GGUF file.")],
    collection: CollectionName,
    run: Candidates,
    output: Output,
    prompt: Annotated[str, typer.Option(help="qwen3_reranker, monot5 or a template's .yaml file.")] = "qwen3_reranker",
    depth: Depth = None,
    scores: Kept = None,
    ranking: Ranking = None,
    max_length: Annotated[int, typer.Option(min=16, help="Longest prompt in tokens; the passage is cut.")] = 512,
    precision: Precision = "fp32",
    json: Json = False,
) -> None:
    """Score each candidate with a language model in process: the logit of yes less that of no. Scores are kept."""
    from limbeck.lists import candidates_to_teach, lists_from_scores, write_lists
    from limbeck.runs import read_run
    from limbeck.teachers import kept_scores
    from limbeck.teachers.llm import LanguageModel, Pointwise, read_template

    template = read_template(prompt, "yes-no")
    data = load(collection)
    candidates, part = candidates_to_teach(data, read_run(run), depth)
    teacher = Pointwise(LanguageModel.load(model, precision), template, max_length)
    folder = scores or output.with_suffix(".scores")
    found = kept_scores(teacher, data, part, folder, errors())
    details = {"teacher_version": teacher.version, "prompt": prompt, "prompt_digest": template.digest,
               "max_length": str(max_length), "precision": precision, "scores": str(folder)}  # fmt: skip
    lists = lists_from_scores(candidates, found, teacher.name, details)
    write_lists(lists, output)
    write_ranking(lists, ranking)
    print_description(lists, output, json)
