"""A study: its file, read and checked as a whole before anything is fetched or trained."""

from dataclasses import dataclass, field
from pathlib import Path

from limbeck.core.errors import UsageError
from limbeck.core.schema import placed, read_text, rename_old_keys
from limbeck.core.yaml_file import read_yaml
from limbeck.study.config.checks import check_references
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import StudyConfig
from limbeck.study.config.schema_errors import check_shape


class StudyError(UsageError):
    """Everything that is wrong with a study file, one problem a line.

    Attributes:
        problems: `FILE:LINE: KEY: what was found, what was expected`, in the order of the file.
    """

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        super().__init__("\n".join([f"{path}: {count}; nothing was fetched or trained", *problems]))


@dataclass(frozen=True)
class Study:
    """A checked study.

    Attributes:
        path: its file; relative names in it are relative to its folder.
        text: the file's content.
        sources: what its names stand for, loaded when asked for.
        warnings: about keys that have another name today.
    """

    config: StudyConfig
    path: Path
    text: str = field(repr=False)
    sources: Sources = field(repr=False, compare=False)
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The study's name."""
        return self.config.name


def load_study(path: str | Path, with_files: bool = True) -> Study:
    """Read and check a study file. Collections and models that must be fetched first are only looked up by name.

    Args:
        with_files: whether files that it names must be there; without, it can be planned and rehearsed, not run.

    Raises:
        MissingError: no such file.
        StudyError: all that is wrong, together.
    """
    path = Path(path)
    return parse_study(read_text(path, "study file"), path, with_files)


def parse_study(text: str, path: Path, with_files: bool = True) -> Study:
    """Check the text of a study file that is, or was, at `path`; see `load_study`."""
    document = read_yaml(text)
    problems = list(document.problems)
    config = None
    sources = None
    warnings = rename_old_keys(StudyConfig, document.values)
    if document.values is not None or not problems:
        config, faults = check_shape(document.values)
        problems += faults
    if config is not None:
        sources = Sources(config, path.resolve().parent)
        known = {problem.key for problem in problems}
        found = check_references(config, document.values, problems, sources)
        # What stands in for a broken part has no line, and its problems are not the user's.
        found = [problem for problem in found if with_files or not problem.absent]
        problems += [p for p in found if p.key not in known and p.key[:2] in document.lines]
    if problems or config is None or sources is None:
        raise StudyError(path, placed(path, document, problems))
    return Study(config, path, text, sources, tuple(f"{path.name}: {warning}" for warning in warnings))
