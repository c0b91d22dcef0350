"""Whether a study's teachers are of one kind each, and can be asked as they are to be."""

from collections.abc import Iterator

from limbeck.study.problems import attempt
from limbeck.study.rankers import TEACHER_KEYS, Teacher
from limbeck.study.sources import Sources
from limbeck.study.yaml_file import Key, Problem


def check_teacher(name: str, teacher: Teacher, sources: Sources) -> Iterator[Problem]:
    """Problems of one teacher but for its models. No endpoint is asked anything here."""
    key: Key = ("teachers", name)
    kinds = teacher.kinds
    if len(kinds) != 1:
        yield Problem(key, f"is {' and '.join(kinds) or 'nothing'}; expected one of {', '.join(TEACHER_KEYS)}")
        return
    for kind, keys in TEACHER_KEYS.items():
        for extra in sorted(keys & teacher.model_fields_set if kind != kinds[0] else ()):
            yield Problem((*key, extra), f"goes with {kind}, and this teacher is {kinds[0]}. Leave it out")
    if len(set(teacher.ensemble)) < len(teacher.ensemble):
        yield Problem((*key, "ensemble"), "names a cross-encoder twice; expected each once")
    if teacher.llm:
        yield from attempt(key, sources.listwise, name)
        yield from attempt(key, sources.service, name)
