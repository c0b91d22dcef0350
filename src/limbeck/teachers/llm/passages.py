"""Queries and passages as data: nothing in one can pass for a part of the prompt that holds it."""

import re
from collections.abc import Collection

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
