"""Whether what is trained on can be: list sources that can be made, and recipes that fit what these provide."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.core.errors import LimbeckError, UsageError, nearest
from limbeck.core.json_files import read_json
from limbeck.core.schema import attempt
from limbeck.core.yaml_file import Key, Problem
from limbeck.lists import SIGNALS, find_format, format_names, provided_signals
from limbeck.objectives import Objective, parse
from limbeck.study.config.resolver import Sources, published_file
from limbeck.study.config.schema import ListSource, Stage, StudyConfig, known_backbones, unknown
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


def check_recipes(
    config: StudyConfig, values: Any, lists: set[str], broken: set[Key], sources: Sources
) -> Iterator[Problem]:
    """Problems of `recipes`.

    Args:
        values: the file's content.
        lists: the names of all list sources.
        broken: the parts of the file in which something is wrong.
    """
    backbones = values.get("backbones")
    slow = [
        name
        for name, backbone in (backbones if isinstance(backbones, dict) else {}).items()
        if not isinstance(backbone, dict) or "learning_rate" not in backbone
        # One without a model is a misspelt known one, which would have had a rate.
        if name not in config.backbones
        or (config.backbones[name].model and config.backbones[name].learning_rate is None)
    ]
    yield from _check_training(config, values, sources)
    for name, stages in config.recipes.items():
        for number, stage in enumerate(stages):
            key: Key = ("recipes", name, number)
            given = values["recipes"][name][number] if name in (values.get("recipes") or {}) else {}
            yield from _check_objective(key, stage, lists, broken, sources)
            yield from _check_stage_length(key, stage, given, sources)
            yield from _check_batch(key, stage, given, config)
            if "learning_rate" not in given and slow:
                text = (
                    f"has no learning_rate, and neither has the backbone {', '.join(slow)}; give it in one of the two"
                )
                yield Problem(key, text)


def _check_training(config: StudyConfig, values: Any, sources: Sources) -> Iterator[Problem]:
    """What is trained needs queries to train on; what is not needs models that score as they are."""
    if any(config.recipes.values()) and "train" not in (values.get("collections") or {"train": ()}):
        yield Problem(("collections",), "has no train, and recipes have stages: expected the queries to train on")
    untrained = [name for name, stages in config.recipes.items() if not stages]
    for name, backbone in config.backbones.items() if untrained else ():
        if backbone.exits:
            text = f"are trained, and the recipe {untrained[0]} trains nothing; expected stages in it"
            yield Problem(("backbones", name, "exits"), text)
        if backbone.model and _is_headless(backbone.model, sources):
            text = f"is {backbone.model}, which has no scoring head, and the recipe {untrained[0]} trains none"
            yield Problem(("backbones", name, "model"), f"{text}; expected a cross-encoder, or stages in the recipe")


def _is_headless(model: str, sources: Sources) -> bool:
    """Whether a model is known to have no scoring head; of one of the Hub that is not known, nothing is said."""
    if not sources.is_found(model) or sources.model(model).kind == "hub":
        return model.partition("@")[0] in {each.model for each in known_backbones().values()}
    folder = Path(sources.model(model).path)
    classes = saved_config(folder).get("architectures") or ()
    modular = (folder / "modules.json").exists()  # whose head is a module of its own
    return bool(classes) and not modular and not any("Classification" in str(name) for name in classes)


def _check_stage_length(key: Key, stage: Stage, given: Any, sources: Sources) -> Iterator[Problem]:
    lengths = [name for name in ("steps", "epochs", "pairs") if name in given]
    if len(lengths) != 1:
        yield Problem(key, f"has {' and '.join(lengths) or 'no length'}; expected one of steps, epochs and pairs")
    if stage.pairs is None or stage.lists not in sources.config.lists:
        return
    with suppress(UsageError):  # a sample that cannot be is said by another check
        if (sample := sources.sample(stage.lists)).passages is None:
            text = f"are counted, but lists.{stage.lists} draws no fixed number of passages (sample: {sample})"
            yield Problem((*key, "pairs"), f"{text}; give it a size, or give steps here")


def _check_batch(key: Key, stage: Stage, given: Any, config: StudyConfig) -> Iterator[Problem]:
    if ("lists_per_step" in given) == ("batch_divisor" in given):
        yield Problem(key, "needs either lists_per_step or batch_divisor, not both or neither")
    if stage.batch_divisor is None:
        return
    for name, backbone in config.backbones.items():
        if backbone.batch is None and backbone.model:
            yield Problem(
                (*key, "batch_divisor"), f"divides a batch, but the backbone {name} has none; give it a batch"
            )


def _check_objective(key: Key, stage: Stage, lists: set[str], broken: set[Key], sources: Sources) -> Iterator[Problem]:
    objective: Objective | None = None
    try:
        objective = parse(stage.objective)
    except UsageError as error:
        yield Problem((*key, "objective"), str(error))
    if stage.lists not in lists:
        yield Problem((*key, "lists"), unknown("list source", stage.lists, lists))
        return
    described = stage.lists in sources.config.lists and ("lists", stage.lists) not in broken
    signals = provided(stage.lists, sources) if described else None
    if objective is None or signals is None:
        return
    absent = sorted(objective.signals - signals)
    if absent:
        text = (
            f"{objective} reads {' and '.join(sorted(objective.signals))}, but lists.{stage.lists} provides "
            f"{', '.join(sorted(signals)) or 'no signal'}; {_remedy(absent)}"
        )
        yield Problem((*key, "objective"), text)


def _remedy(absent: list[str]) -> str:
    ways = {
        "labels": "labels: qrels",
        "teacher_scores": "teacher: NAME",
        "teacher_order": "teacher: NAME, or signal: order with a run",
    }
    return f"add {' and '.join(ways[signal] for signal in absent)} there, or choose another objective"


def saved_config(folder: Path) -> dict[str, Any]:
    """The configuration of a model in a folder; empty where it cannot be read."""
    try:
        found: dict[str, Any] = read_json(folder / "config.json", dict, "")
    except LimbeckError:
        # Said better by the loader itself, when the model is loaded.
        return {}
    return found
