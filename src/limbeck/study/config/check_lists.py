"""Whether list sources can be made, and which signals they provide."""

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.core.errors import LimbeckError, UsageError, nearest
from limbeck.core.schema import attempt
from limbeck.core.yaml_file import Key, Problem
from limbeck.lists import SIGNALS, find_format, format_names, provided_signals
from limbeck.study.config.known import published_file
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import ListSource, StudyConfig, unknown
from limbeck.teachers.kinds import SIGNALS as SIGNALS_OF_KIND
from limbeck.teachers.kinds import teacher_kinds

LIST_FORMATS = ("limbeck", *format_names())


def check_lists(
    config: StudyConfig, known: Mapping[str, set[str]], broken: set[Key], sources: Sources
) -> Iterator[Problem]:
    """Problems of `lists`. `known["teachers"]` are teachers' names. Too little is left of `broken` lists to tell."""
    for name, source in config.lists.items():
        key: Key = ("lists", name)
        if source.format not in LIST_FORMATS and key not in broken:
            expected = f"expected {', '.join(LIST_FORMATS)}{nearest(source.format, LIST_FORMATS)}"
            yield Problem((*key, "format"), f'is "{source.format}"; {expected}')
            broken = {*broken, key}
        yield from _check_sample(name, source, sources)
        yield from _check_collections(key, source, config)
        yield from _check_files(name, config, sources)
        if key not in broken:
            yield from {"limbeck": _check_ready, "run": _check_run}.get(source.format, _check_published)(key, source)
            yield from _check_first_list(name, source, sources)
        if source.teacher and source.teacher not in known["teachers"]:
            yield Problem((*key, "teacher"), unknown("teacher", source.teacher, known["teachers"]))
        if source.labels:
            yield from _check_judgments(name, sources)
        if source.corpus_negatives and (source.signal or not source.labels):
            text = "have neither a run's signal nor a label without judgments; expected labels: qrels, and no signal"
            yield Problem((*key, "corpus_negatives"), text)
        for field in ("checksum", "url"):
            if getattr(source, field) and len(source.path or ()) != 1:
                text = (
                    f"is of one file, but path names {len(source.path or ())}; expected lists for each, or no {field}"
                )
                yield Problem((*key, field), text)
        if source.url and not source.url.startswith(("https://", "http://")):
            yield Problem((*key, "url"), f'is "{source.url}"; expected one that begins with https://')
        signals = None if key in broken else provided(name, sources)
        absent = frozenset() if signals is None else _drawn_by(name, sources) - signals
        if "labels" in absent:
            text = "draws positives and negatives, but the lists carry no labels; add labels: qrels, or draw by size"
            yield Problem((*key, "sample"), text)
        if "teacher_scores" in absent:
            text = (
                "is stratified by a teacher's scores, but the lists carry none; add teacher: NAME, or do not stratify"
            )
            yield Problem((*key, "sample"), text)


def provided(name: str, sources: Sources) -> frozenset[str] | None:
    """The signals of a list source; None where it is a file that cannot be read."""
    source = sources.config.lists[name]
    if source.format not in LIST_FORMATS:
        return None
    if source.format == "limbeck":
        try:
            return frozenset(pq.read_schema(sources.list_file(name, "")).names) & frozenset(SIGNALS)
        except (OSError, pa.ArrowException, UsageError):
            return None
    if source.path and source.format != "run":
        try:
            return provided_signals(sources.list_file(name, sources.listed(name)[0]), sources.conversion(name))
        except (OSError, LimbeckError):
            return None
    signals = {"labels"} if source.labels else set()
    if source.signal:
        signals |= {"teacher_order"} if source.signal == "order" else {"teacher_scores", "teacher_order"}
    if source.teacher:
        teacher = sources.config.teachers.get(source.teacher)
        if teacher and len(teacher.kinds) == 1:
            signals |= SIGNALS_OF_KIND[teacher_kinds()[teacher.kinds[0]].gives]
    return frozenset(signals)


def _check_first_list(name: str, source: ListSource, sources: Sources) -> Iterator[Problem]:
    """What reading the first list of each published file runs into."""
    if not source.path or source.format == "limbeck":
        return
    faults = list(attempt(("lists", name, "checksum"), sources.conversion, name))
    yield from faults
    for collection in sources.listed(name) if not faults else ():
        try:
            file = sources.list_file(name, collection)
            if file.is_file():
                provided_signals(file, sources.conversion(name))
        except UsageError:
            continue  # no file for this collection, or no signal: said by other checks
        except LimbeckError as error:
            yield Problem(("lists", name, "path"), str(error))


def _drawn_by(name: str, sources: Sources) -> frozenset[str]:
    """The signals that the sample looks at."""
    try:
        return sources.sample(name).needed
    except UsageError:
        return frozenset()


def _check_sample(name: str, source: ListSource, sources: Sources) -> Iterator[Problem]:
    key: Key = ("lists", name)
    try:
        sources.sample(name)
    except UsageError as error:
        for text in str(error).splitlines():
            words = source.sample if isinstance(source.sample, dict) else ()
            named = next((word for word in words if f'unknown key "{word}"' in text), None)
            place = (*key, "sample", named) if named else (*key, "sample")
            yield Problem(place, text.removeprefix("sample: "))


def _check_files(name: str, config: StudyConfig, sources: Sources) -> Iterator[Problem]:
    paths = config.lists[name].path
    if paths is None:
        return
    key: Key = ("lists", name, "path")
    for collection, path in paths.items():
        if not sources.file(path).is_file():
            place = (*key, collection) if collection else key
            published = published_file(path)
            url = config.lists[name].url or (published and published.url)
            how = f"; `limbeck study fetch` puts it there, from {url}" if url else ""
            yield Problem(place, f'"{path}": no such file in {sources.folder}{how}', absent=True)
    train = sources.listed(name)
    if config.lists[name].format == "limbeck":
        return
    if "" in paths and len(train) > 1:
        yield Problem(
            key, f"is one file for {len(train)} training collections; expected a mapping from each to its file"
        )
        return
    for collection in train:
        yield from attempt(key, sources.list_file, name, collection)


def _check_ready(key: Key, source: ListSource) -> Iterator[Problem]:
    if not source.path:
        yield Problem((*key, "format"), "is limbeck without a path; expected path: FILE, lists in Parquet")
    elif set(source.path) != {""}:
        yield Problem(
            (*key, "path"), "is a mapping; expected one file, ready lists may hold several collections' queries"
        )
    for field in ("first_stage", "depth", "labels", "signal", "teacher", "checksum", "corpus_negatives"):
        if getattr(source, field) is not None:
            yield Problem(
                (*key, field), "goes with format: run only; ready lists carry their own signals. Leave it out"
            )


def _check_published(key: Key, source: ListSource) -> Iterator[Problem]:
    if not source.path:
        yield Problem((*key, "format"), f"is {source.format} without a path; expected path: FILE")
    for field in ("first_stage", "teacher"):
        if getattr(source, field) is not None:
            yield Problem((*key, field), "goes with format: run only. Leave it out")
    if source.signal and find_format(source.format).keep is None:
        yield Problem((*key, "signal"), f"goes with runs only; {source.format} has signals of its own. Leave it out")


def _check_run(key: Key, source: ListSource) -> Iterator[Problem]:
    if source.path and source.first_stage:
        yield Problem((*key, "first_stage"), "is given beside path; expected one source of candidates, not two")
    if not source.path and not source.first_stage:
        yield Problem(key, "names no candidates; expected first_stage: NAME or path: RUN")
    if source.signal and not source.path:
        yield Problem((*key, "signal"), "takes the order of a run as a teacher's; expected it with path: RUN only")
    if source.signal and source.teacher:
        yield Problem((*key, "signal"), "is given beside teacher; expected one teacher's order, not two")
    if not (source.labels or source.signal or source.teacher):
        yield Problem(key, "carries no signal; expected labels: qrels, teacher: NAME or signal: order")


def _check_collections(key: Key, source: ListSource, config: StudyConfig) -> Iterator[Problem]:
    if source.collections and source.format == "limbeck":
        yield Problem((*key, "collections"), "goes with format: run only; ready lists name their queries. Leave it out")
    for name in source.collections or ():
        if name not in config.collections.train:
            text = unknown("training collection", name, config.collections.train)
            yield Problem((*key, "collections"), text)


def _check_judgments(lists: str, sources: Sources) -> Iterator[Problem]:
    for name in sources.listed(lists):
        if not sources.is_local(name):
            continue
        try:
            judged = bool(sources.collection(name).qrels)
        except LimbeckError:
            continue
        if not judged:
            text = f"are asked for, but the training collection {name} has no judgments"
            yield Problem(("lists", lists, "labels"), text)
