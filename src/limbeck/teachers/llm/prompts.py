"""Queries and passages as data: nothing in one can pass for a part of the prompt that holds it."""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from limbeck.core.errors import DataError, MissingError, UsageError, nearest
from limbeck.core.yaml_file import read_yaml, show

# How chat formats mark their turns. An endpoint's own are not known here, so all that are in use are taken apart.
_MARKERS = re.compile(
    r"<[|｜][^<>]{0,64}[|｜]>"  # ChatML, Llama 3, Phi, Zephyr, Qwen; DeepSeek
    r"|</?s>|<(?:bos|eos|pad|unk|mask)>"  # Llama 2, Mistral, T5
    r"|\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\]|<</?SYS>>"
    r"|</?(?:start|end)_of_turn>"  # Gemma
    r"|</?think>",
    re.IGNORECASE,
)
_ROLES = re.compile(r"\b(USER|ASSISTANT|SYSTEM|HUMAN)(?=:)")  # Vicuna's turns are words
_IDENTIFIER = re.compile(r"[\[［]\s*(\d+)\s*[\]］]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def as_data(text: str, words: int | None = None, markers: Collection[str] = ()) -> tuple[str, bool]:
    """A text in one line, without identifiers in brackets and turn markers; and whether it was cut.

    `[3]` becomes `(3)`, as RankGPT's successors do; a marker such as `<|im_end|>` gets a blank behind its first
    character, so that a tokeniser reads it as plain text.

    Args:
        words: keep at most so many words.
        markers: further ones: the special tokens of the tokeniser that reads the prompt, where it is known, and the
            labels of a prompt of plain text.

    >>> as_data("First.\\n[2] Second <|im_end|>", words=3)
    ('First. (2) Second', True)
    """
    found = _CONTROL.sub(" ", text).split()
    kept = " ".join(found[:words])
    kept = _ROLES.sub(r"\1 ", _IDENTIFIER.sub(r"(\1)", kept))
    # A marker may hold others, and be whole again once they are apart.
    while (apart := _apart(kept, markers)) != kept:
        kept = apart
    return kept, words is not None and len(found) > words


def _apart(text: str, markers: Collection[str]) -> str:
    text = _MARKERS.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    for marker in map(str.strip, markers):
        # A word that is a token of its own marks nothing.
        if len(marker) > 1 and not marker.isalnum():
            text = text.replace(marker, f"{marker[0]} {marker[1:]}")
    return text


Message = dict[str, str]
Kind = Literal["listwise", "graded", "yes-no", "query"]
_FIELD = re.compile(r"\{(\w+)\}")
_FIELDS = {
    "listwise": {"query", "count", "passages"},
    "each_passage": {"query", "count", "number", "passage"},
    "passage": {"number", "text"},
    "graded": {"query", "passage"},
    "yes-no": {"query", "passage"},
    "query": {"passage"},
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Turn(_Strict):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class EachPassage(_Strict):
    """Messages that are there once for each passage."""

    each_passage: list[Turn]


class _File(_Strict):
    kind: Kind
    messages: list[Turn | EachPassage] = []
    text: str | None = None
    passage: str = "{text}"
    positive: str | None = None
    negative: str | None = None
    answer_begins: str = ""


@dataclass(frozen=True)
class Template:
    """A prompt template.

    name           as the user gave it
    digest         16 hex digits of SHA-256 over its file
    kind           "listwise", "graded", "yes-no" or "query"
    messages       the chat's turns; empty for a template of plain text
    text           a plain text, for models without a chat format (monoT5); else None
    passage        how one passage is written among others, such as `[{number}] {text}`
    positive, negative  the words whose logits a yes-no template compares
    answer_begins  what stands at the beginning of the answer before the model goes on
    """

    name: str
    digest: str
    kind: Kind
    messages: tuple[Turn | EachPassage, ...]
    text: str | None
    passage: str
    positive: str
    negative: str
    answer_begins: str

    @property
    def labels(self) -> frozenset[str]:
        """Words that a plain text is told apart by, such as `Document:`; a chat has its turns and lines for that."""
        return frozenset(re.findall(r"\w+:", self.text or ""))

    def listwise(self, query: str, passages: Sequence[str]) -> list[Message]:
        """The chat that asks for an order of passages, which get the numbers 1 to n."""
        lines = [_fill(self.passage, {"number": str(n), "text": text}) for n, text in enumerate(passages, 1)]
        shared = {"query": query, "count": str(len(passages)), "passages": "\n".join(lines)}
        chat = []
        for turn in self.messages:
            if isinstance(turn, Turn):
                chat.append(_message(turn, shared))
                continue
            for number, line in enumerate(lines, 1):
                values = shared | {"number": str(number), "passage": line}
                chat += [_message(each, values) for each in turn.each_passage]
        return chat

    def pair(self, query: str, passage: str) -> list[Message]:
        """The chat about one passage; for a template of plain text, that text as the user's only turn."""
        turns = self._turns or [Turn(role="user", content=self.text or "")]
        return [_message(turn, {"query": query, "passage": passage}) for turn in turns]

    def about(self, passage: str) -> list[Message]:
        """The chat that asks for a query of a passage."""
        return [_message(turn, {"passage": passage}) for turn in self._turns]

    @property
    def _turns(self) -> list[Turn]:
        return [turn for turn in self.messages if isinstance(turn, Turn)]


def known_templates(kind: Kind) -> list[str]:
    """Names of the templates of a kind that come with limbeck."""
    names = (file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml"))
    return sorted(name for name in names if read_template(name).kind == kind)


def read_template(name: str, kind: Kind | None = None) -> Template:
    """A template by its name, or from a YAML file by its path.

    Raises:
        MissingError: neither a known name nor a file.
        DataError: the file is not as it must be; the text names file, key and what was expected.
        UsageError: it is of another kind than `kind`.
    """
    file = Path(name)
    if not name.endswith((".yaml", ".yml")):
        if not re.fullmatch(r"\w+", name) or not _folder().joinpath(f"{name}.yaml").is_file():
            known = [entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml")]
            raise MissingError(
                f'no prompt template "{name}"{nearest(name, known)}; known are {", ".join(sorted(known))}; a file of '
                "your own ends in .yaml"
            )
        content = _folder().joinpath(f"{name}.yaml").read_bytes()
    elif file.is_file():
        content = file.read_bytes()
    else:
        raise MissingError(f"{name}: no such prompt template")
    template = _parse(name, content)
    if kind is not None and template.kind != kind:
        raise UsageError(
            f"{name}: is a {template.kind} template, expected a {kind} one: {', '.join(known_templates(kind))}"
        )
    return template


def template_of(name: str, kind: Kind, file: Callable[[str], Path]) -> Template:
    """A template by its name, or from a YAML file where `file` finds it; it keeps the name that was given."""
    own = name.endswith((".yaml", ".yml"))
    return replace(read_template(str(file(name)) if own else name, kind), name=name)


def _folder() -> Any:
    return resources.files("limbeck.teachers.llm") / "prompts"


def _parse(name: str, content: bytes) -> Template:
    try:
        document = read_yaml(content.decode())
        if document.problems:
            problem = document.problems[0]
            line = problem.line or document.line(problem.key)
            raise DataError(f"{name}:{line}: {show(problem.key)}{': ' if problem.key else ''}{problem.text}")
        found = _File.model_validate(document.values)
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: is not UTF-8 text ({error.reason}); convert the file to UTF-8") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(f"{name}: {place}: {first['msg']}; see prompts/*.yaml of limbeck.teachers.llm") from None
    _check(name, found)
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Template(
        name=name,
        digest=digest,
        kind=found.kind,
        messages=tuple(found.messages),
        text=found.text,
        passage=found.passage,
        positive=found.positive or "",
        negative=found.negative or "",
        answer_begins=found.answer_begins,
    )


def _check(name: str, file: _File) -> None:
    if bool(file.messages) == bool(file.text):
        raise DataError(f"{name}: expected either messages or a text")
    if file.kind != "yes-no" and file.text:
        raise DataError(f"{name}: text: only a yes-no template may be a plain text, expected messages")
    if (file.kind == "yes-no") != (bool(file.positive) and bool(file.negative)):
        raise DataError(f"{name}: positive, negative: expected both in a yes-no template, and in no other")
    if file.kind == "listwise" and "[{number}]" not in file.passage:
        raise DataError(
            f"{name}: passage: expected [{{number}}] in it: answers are read as [2] > [1], and no passage's own text "
            "keeps such a mark"
        )
    used = _used(name, "passage", file.passage, "passage")
    for number, turn in enumerate(file.messages):
        if isinstance(turn, Turn):
            used |= _used(name, f"messages.{number}", turn.content, file.kind)
        elif file.kind != "listwise":
            raise DataError(f"{name}: messages.{number}: each_passage is for listwise templates")
        else:
            used |= {field for each in turn.each_passage for field in _used(name, "each_passage", each.content)}
    if file.text:
        used |= _used(name, "text", file.text, file.kind)
    wanted = {"listwise": {"query", "text"}, "query": {"passage"}}.get(file.kind, {"query", "passage"})
    if not wanted <= used or not used & {"passage", "passages"}:
        fields = "{passage}" if file.kind == "query" else "{query}, and {passages} or {passage}"
        raise DataError(f"{name}: expected in it what it is to be filled with: {fields}")


def _used(name: str, place: str, text: str, fields: str = "each_passage") -> set[str]:
    used = set(_FIELD.findall(text))
    for field in sorted(used - _FIELDS[fields]):
        known = ", ".join(f"{{{known}}}" for known in sorted(_FIELDS[fields]))
        raise DataError(f"{name}: {place}: {{{field}}} is not known here; expected {known}")
    return used


def _message(turn: Turn, values: Mapping[str, str]) -> Message:
    return {"role": turn.role, "content": _fill(turn.content, values)}


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda match: values[match[1]], text)
