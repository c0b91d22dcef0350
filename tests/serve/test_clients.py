"""The real clients, each in an environment of its own, against a running `limbeck serve`: `make test-clients`.

An environment is made once, in tests/serve/.environments, from the package index; where that cannot be reached, its
test is skipped. None of the clients may bring torch.
"""

import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from limbeck.models.cross_encoder import CrossEncoder

pytestmark = pytest.mark.skipif("LIMBECK_TEST_CLIENTS" not in os.environ, reason="make test-clients runs them")
ENVIRONMENTS = Path(__file__).parent / ".environments"
QUERY = "who heats the still?"
PASSAGES = ["the alembic boils", "ether drips into a flask of glass, slowly", "nobody knows", "the copper glows"]
HEAD = "import json, sys\nurl, query, passages = json.loads(sys.stdin.read())\n"

# Each makes `found`: (index, score) of the passages, best first; all of them unless it asks for fewer.
COHERE_V2 = """
import cohere
answer = cohere.ClientV2("key", base_url=url).rerank(model="rerank-v3.5", query=query, documents=passages, top_n=4)
found = [(one.index, one.relevance_score) for one in answer.results]
assert answer.meta.billed_units.search_units == 1
"""
COHERE_V1 = """
import cohere
client = cohere.Client("key", base_url=url)
answer = client.rerank(
    model="rerank-english-v3.0", query=query, documents=[{"text": text} for text in passages], return_documents=True
)
assert all(one.document.text == passages[one.index] for one in answer.results)
found = [(one.index, one.relevance_score) for one in answer.results]
try:
    client.rerank(model="rerank-english-v3.0", query="", documents=passages)
except cohere.errors.BadRequestError as error:
    assert "query" in str(error.body), error.body
else:
    raise AssertionError("an empty query was taken")
"""
LANGCHAIN = """
from langchain_cohere import CohereRerank
from langchain_core.documents import Document
client = CohereRerank(model="rerank-v3.5", cohere_api_key="key", base_url=url, top_n=4)
found = [(one["index"], one["relevance_score"]) for one in client.rerank(passages, query, top_n=4)]
kept = client.compress_documents([Document(page_content=text) for text in passages], query)
assert [one.page_content for one in kept] == [passages[index] for index, _ in found]
"""
LLAMA_INDEX = """
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank
nodes = [NodeWithScore(node=TextNode(id_=str(number), text=text)) for number, text in enumerate(passages)]
client = CohereRerank(api_key="key", model="rerank-v3.5", top_n=4, base_url=url)
found = [(int(one.node.node_id), one.score) for one in client.postprocess_nodes(nodes, query_str=query)]
"""
COHERE_HAYSTACK = """
from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.rankers.cohere import CohereRanker
client = CohereRanker(model="rerank-v3.5", api_key=Secret.from_token("key"), api_base_url=url, top_k=4)
answer = client.run(query=query, documents=[Document(id=str(n), content=text) for n, text in enumerate(passages)])
found = [(int(one.id), one.score) for one in answer["documents"]]
"""
JINA_HAYSTACK = """
from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.rankers.jina import JinaRanker
client = JinaRanker(model="jina-reranker-v3", api_key=Secret.from_token("key"), top_k=4, base_url=url + "/v1/rerank")
answer = client.run(query=query, documents=[Document(id=str(n), content=text) for n, text in enumerate(passages)])
found = [(int(one.id), one.score) for one in answer["documents"]]
"""
INFINITY = """
from infinity_client import Client
from infinity_client.api.default import rerank
from infinity_client.models import RerankInput
with Client(base_url=url) as client:
    answer = rerank.sync(client=client, body=RerankInput(query=query, documents=passages, model="any"))
found = [(one.index, one.relevance_score) for one in answer.results]
"""
RERANKERS = """
from rerankers.models.api_rankers import APIRanker
answers = []
for provider in ("cohere", "jina", "voyage", "text-embeddings-inference"):
    answer = APIRanker("any", "key", provider, url=url + "/v1/rerank").rank(query=query, docs=passages)
    answers.append([(one.doc_id, one.score) for one in answer.results])
found = answers[0]
assert all(one == found for one in answers), answers
"""
VOYAGE = """
import voyageai
answer = voyageai.Client(api_key="key", base_url=url + "/v1").rerank(query, passages, model="rerank-2.5", top_k=4)
assert all(one.document == passages[one.index] for one in answer.results)
assert answer.total_tokens > 0
found = [(one.index, one.relevance_score) for one in answer.results]
"""
CLIENTS = {
    "cohere-5-v2": ("cohere>=5,<6", COHERE_V2),
    "cohere-5-v1": ("cohere>=5,<6", COHERE_V1),
    "cohere-7-v2": ("cohere>=7,<8", COHERE_V2),
    "langchain-cohere": ("langchain-cohere", LANGCHAIN),
    "llama-index": ("llama-index-postprocessor-cohere-rerank", LLAMA_INDEX),
    "cohere-haystack": ("cohere-haystack", COHERE_HAYSTACK),
    "jina-haystack": ("jina-haystack", JINA_HAYSTACK),
    "infinity-client": ("infinity-client", INFINITY),
    "rerankers": ("rerankers[api]", RERANKERS),
    "voyageai": ("voyageai", VOYAGE),
}


@pytest.fixture(scope="module")
def url(family_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that was started as a user starts it."""
    log = tmp_path_factory.mktemp("service") / "log"
    command = [sys.executable, "-m", "limbeck", "serve", str(family_folder("bert")), "--port", "0"]
    with log.open("w") as stream:
        process = subprocess.Popen(command, stderr=stream, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        while "running on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield log.read_text().split("running on ")[1].split(" ")[0]
    finally:
        process.terminate()
        process.wait(60)


def environment(requirement: str) -> Path:
    """The Python of an environment with that client; made first where it is not there. Skips where it cannot be."""
    folder = ENVIRONMENTS / requirement.translate(str.maketrans("<>=,[]", "------"))
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        (folder / "no-torch.txt").write_text("torch<0\n")
        install = [python, "-m", "pip", "install", "--quiet", "--constraint", folder / "no-torch.txt", requirement]
        done = subprocess.run(install, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"{requirement} cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
        (folder / "installed").touch()
    return python


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_reads_the_models_own_scores_and_order(
    client: str, url: str, family_folder: Callable[[str], Path]
) -> None:
    requirement, script = CLIENTS[client]
    code = f"{HEAD}{script}\nprint(json.dumps([[int(index), float(score)] for index, score in found]))"
    done = subprocess.run(
        [environment(requirement), "-c", code], input=json.dumps([url, QUERY, PASSAGES]), capture_output=True,
        text=True, timeout=300, env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    raw = CrossEncoder.load(family_folder("bert"), device="cpu").score([(QUERY, passage) for passage in PASSAGES])
    order = np.argsort(-raw, kind="stable")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert [index for index, _ in found] == order.tolist()
    np.testing.assert_allclose([score for _, score in found], 1 / (1 + np.exp(-raw[order].astype(float))), rtol=1e-4)
