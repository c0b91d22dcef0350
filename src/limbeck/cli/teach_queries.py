"""The verb that makes a collection: an LLM writes queries for documents."""

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.cli.llm import Attempts, CallOptions, expect_some, report
from limbeck.cli.output import Json, errors, print_json, warn
from limbeck.core.options import Options, with_options
from limbeck.teachers.llm.settings import LLMSettings


@with_options(
    llm=Options(declaration=LLMSettings, defaults={"temperature": 0.7}), calls=Options(declaration=CallOptions)
)
def queries(
    *,
    llm: dict[str, Any],
    collection: Annotated[
        str, typer.Option(help="Its documents: a folder with a corpus, which needs no queries, or any collection.")
    ],
    output: Annotated[Path, typer.Option(help="Folder to write: the documents, their queries, and qrels/train.tsv.")],
    documents: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of documents to write queries for, drawn by a hash of their ids; default: all."
        ),
    ] = None,
    number: Annotated[
        int, typer.Option("--queries", min=1, help="Number of queries per document; several need a temperature.")
    ] = 1,
    prompt: Annotated[str, typer.Option(help="doc2query or a template's .yaml file.")] = "doc2query",
    passage_words: Annotated[int, typer.Option(min=1, help="Maximum number of words of a document.")] = 300,
    attempts: Attempts = 3,
    calls: dict[str, Any],
    json: Json = False,
) -> None:
    """Have an LLM write queries for documents that have none. The same command again goes on.

    The new folder is a collection whose queries are judged: the document that a query was written for is relevant.
    What else may be is for a teacher to say: `limbeck lists mine` filters false negatives.
    """
    from limbeck.collections import load_documents
    from limbeck.collections.beir import check_own, write_collection
    from limbeck.teachers.llm import (
        QueryWriting,
        described,
        read_template,
        sample_documents,
        session_facts,
        write_queries,
    )

    sent = CallOptions(**calls)
    settings = LLMSettings(**llm, **sent.settings())
    writing = QueryWriting(read_template(prompt, "query"), number, passage_words, attempts)
    check_own(output)
    data = load_documents(collection)
    warn(data.warnings)
    docids = sample_documents(data, documents)
    kept = sent.kept(output)
    with settings.session(kept, errors(), lambda text: warn([text])) as session:
        outcome = write_queries(session, data, docids, writing)
        made = described(session, outcome, writing.describe(), "documents")
        facts = session_facts(session, outcome)
    expect_some(outcome, bool(outcome.queries), kept, "documents")
    texts: dict[str, str] = {}  # text → id: one that is written for several documents is one query
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for docid, found in outcome.queries.items():
        for place, text in enumerate(found, 1):
            qrels[texts.setdefault(text, f"{docid}~q{place}")][docid] = 1
    of = {query_id: text for text, query_id in texts.items()}
    made = {"documents_of": data.name, "teacher": settings.model, **made}
    write_collection(output, data.documents, of, qrels, made)
    shared = sum(len(judged) > 1 for judged in qrels.values())
    if json:
        counted = {"queries": len(of), "documents_asked": len(docids), "queries_of_several_documents": shared}
        print_json({"path": str(output), **counted, "made": made})
    else:
        typer.echo(
            f"{output}: {len(of):,} queries for {len(outcome.queries):,} of {len(docids):,} documents; {shared:,} of "
            "them were written for several"
        )
        for query_id, text in list(of.items())[:3]:
            typer.echo(f"  {query_id}: {text}")
    report(outcome, facts, "documents")
