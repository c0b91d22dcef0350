"""The verb that mines: positives and hard negatives, from judgments or with a teacher in their place."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli.output import (
    CollectionName,
    CorpusNegatives,
    Json,
    ListsOutput,
    MatrixPrecision,
    ScoreOptions,
    errors,
    load,
    print_description,
)
from limbeck.core.errors import UsageError
from limbeck.core.options import Options, with_options

if TYPE_CHECKING:
    from limbeck.lists import Lists
    from limbeck.runs import Run

DEPTH = 100


@with_options(kept=Options(declaration=ScoreOptions))
def mine(
    *,
    collection: CollectionName,
    output: ListsOutput,
    run: Annotated[Path | None, typer.Option(help="Run file of candidates; default: BM25's.")] = None,
    depth: Annotated[
        int | None,
        typer.Option(min=1, help="Candidates per query, beside judged positives; default: all, of BM25 100."),
    ] = None,
    biencoder: Annotated[
        str | None, typer.Option(help="Teacher: bi-encoder, as a folder, Hub id or package:NAME/PATH.")
    ] = None,
    cross_encoder: Annotated[
        list[str] | None, typer.Option(help="Teacher: cross-encoder; several are an ensemble. Their scores are kept.")
    ] = None,
    teacher_run: Annotated[
        Path | None, typer.Option(help="Teacher: any run, for its scores or its order; its candidates are taken.")
    ] = None,
    taught: Annotated[
        Path | None,
        typer.Option(help="Teacher: lists of `limbeck teach`, an LLM's for one; their candidates are taken."),
    ] = None,
    relative_margin: Annotated[
        float | None,
        typer.Option(help="Negatives score lower than a positive by this share of it; for cosines, not for logits."),
    ] = None,
    absolute_margin: Annotated[
        float | None, typer.Option(help="Negatives score lower than a positive by this; for any scores.")
    ] = None,
    skip: Annotated[
        int | None,
        typer.Option(
            help="Number of passages that the teacher ranks first to leave out, beside positives; for any order."
        ),
    ] = None,
    corpus_negatives: CorpusNegatives = 0,
    kept: dict[str, Any],
    precision: MatrixPrecision = "fp32",
    json: Json = False,
) -> None:
    """Make lists with labels: from judgments, or with a teacher, from documents and queries alone.

    From judgments alone: a run's candidates, graded; those that nobody judged are negatives.

    With a teacher (one of --biencoder, --cross-encoder, --teacher-run, --taught): a list for each query and positive.
    The positive is a judged passage, or, in a collection without judgments, the one that the teacher puts first.
    Candidates that it scores too near the positive may be relevant too: --relative-margin, --absolute-margin or --skip
    leaves them out, and their number is printed. Scores and order of the teacher are kept beside the labels.

    Interrupted, the same command goes on from the scores of cross-encoders and the embeddings of a bi-encoder, which
    are kept.

    Documents without queries: `limbeck teach queries --endpoint URL` has an LLM write some (doc2query) and makes a
    collection for this verb; a collection's name with ~sentences takes the documents' own sentences.
    """
    from limbeck.lists import NegativeFilter, lists_from_run, write_lists
    from limbeck.lists import mine as mine_lists

    scores: Path | None = kept.get("scores")
    data = load(collection)
    teachers = {
        "--biencoder": biencoder,
        "--cross-encoder": cross_encoder,
        "--teacher-run": teacher_run,
        "--taught": taught,
    }
    given = [name for name, value in teachers.items() if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are given; expected one teacher (teach ensemble joins cross-encoders)")
    if not cross_encoder and (scores or precision != "fp32"):
        name = "--scores" if scores else "--precision"
        raise UsageError(f"{name} is given, but no --cross-encoder, which alone it is for; leave it out")
    if given:
        if corpus_negatives:
            raise UsageError(f"--corpus-negatives is given beside {given[0]}, which has not scored them; leave it out")
        negatives = NegativeFilter(absolute_margin, relative_margin, skip)
        if run and (teacher_run or taught):
            raise UsageError(f"--run is given beside {given[0]}, which brings its own candidates; leave --run out")
        if biencoder:
            found = _by_biencoder(biencoder, data, _candidates(data, run, depth), depth)
        elif cross_encoder:
            folder = scores or output.with_suffix(".scores")
            found = _by_cross_encoders(cross_encoder, data, _candidates(data, run, depth), depth, folder, precision)
        else:
            found = _ready(data, teacher_run, taught, depth)
        lists = mine_lists(data, found, negatives)
    else:
        _expect_judgments(data, relative_margin, absolute_margin, skip)
        candidates = _candidates(data, run, depth)
        lists = lists_from_run(data, candidates, depth, labels=True, order=False, corpus_negatives=corpus_negatives)
    write_lists(lists, output)
    print_description(lists, output, json)


def _expect_judgments(data: Any, *filters: float | None) -> None:
    """UsageError where neither judgments nor a teacher say what is relevant, or a filter has no teacher to go by."""
    if not data.qrels:
        raise UsageError(
            f"{data.name} has no judgments; expected a teacher that says what is relevant: --biencoder, "
            "--cross-encoder, --teacher-run or --taught, with --relative-margin 0.05, say"
        )
    if any(each is not None for each in filters):
        raise UsageError("a margin or --skip is given, but no teacher; expected --biencoder, say, or neither")


def _candidates(data: Any, run: Path | None, depth: int | None) -> "Run":
    """The run's candidates, or those that BM25 finds."""
    from limbeck.retrieval import BM25
    from limbeck.runs import read_run

    return read_run(run) if run else BM25().retrieve(data, depth or DEPTH)


def _by_biencoder(model: str, data: Any, run: "Run", depth: int | None) -> "Lists":
    from limbeck.lists import candidates_to_mine, lists_from_scores
    from limbeck.teachers import BiEncoder, biencoder_scores

    candidates, part = candidates_to_mine(data, run, depth)
    teacher = BiEncoder.load(model)
    details = {"teacher_version": teacher.version}
    return lists_from_scores(candidates, biencoder_scores(teacher, data, part, console=errors()), teacher.name, details)


def _by_cross_encoders(
    models: list[str], data: Any, run: "Run", depth: int | None, folder: Path, precision: str
) -> "Lists":
    from limbeck.lists import candidates_to_mine, lists_from_scores
    from limbeck.teachers import ensemble_scores

    candidates, part = candidates_to_mine(data, run, depth)
    found = ensemble_scores(models, data, part, folder, precision=precision, console=errors())
    details = {**found.details, "scores": str(folder)}
    return lists_from_scores(candidates, found.scores, " + ".join(found.versions), details)


def _ready(data: Any, teacher_run: Path | None, taught: Path | None, depth: int | None) -> "Lists":
    """What a teacher has scored already."""
    from limbeck.lists import lists_from_scored_run, read_lists
    from limbeck.runs import read_run

    if teacher_run:
        return lists_from_scored_run(data, read_run(teacher_run), depth)
    assert taught
    if depth is not None:
        raise UsageError("--depth is given beside --taught, whose lists are taken whole; leave it out")
    return read_lists(taught)
