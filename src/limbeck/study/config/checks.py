"""What a study's parts refer to, and whether it is there: all that a schema cannot see."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from limbeck.collections import load_collection, suites
from limbeck.collections.collection import require_licensed_corpus
from limbeck.collections.load import without_suffixes
from limbeck.core.schema import attempt
from limbeck.core.yaml_file import Key, Problem
from limbeck.evaluation import canonical
from limbeck.retrieval import KINDS, make_retriever
from limbeck.runs import Fusion
from limbeck.study.config.check_lists import check_lists
from limbeck.study.config.check_training import check_models, check_recipes
from limbeck.study.config.derived_sections import FirstStage, FusionParameters
from limbeck.study.config.resolver import BM25_NAME, Sources
from limbeck.study.config.schema import StudyConfig, unknown


def check_references(config: StudyConfig, values: Any, faults: list[Problem], sources: Sources) -> list[Problem]:
    """All problems beyond keys and types.

    Args:
        config: the study, without the parts that have `faults`.
        values: the file's content, in which the names of broken parts still stand.
    """
    broken = {fault.key[:2] for fault in faults}
    known = {section: _names(values, section) for section in ("first_stages", "teachers", "lists")}
    known["first_stages"] |= {BM25_NAME}
    return [
        *_check_collections(config, values, sources),
        *_check_first_stages(config, known["first_stages"], broken, sources),
        *check_models(config, broken, sources),
        *check_lists(config, known, broken, sources),
        *check_recipes(config, values, known["lists"], broken, sources),
        *_check_seeds(config),
        *_check_measures(config),
        *_check_bounds(config, values),
    ]


def _names(values: Any, section: str) -> set[str]:
    found = values.get(section) if isinstance(values, dict) else None
    return set(found) if isinstance(found, dict) else set()


def _check_collections(config: StudyConfig, values: Any, sources: Sources) -> Iterator[Problem]:
    places: list[tuple[Key, Sequence[str]]] = [
        (("collections", "train"), config.collections.train),
        (("collections", "test"), config.collections.test),
    ]
    if config.validation:
        places.append((("validation", "collections"), config.validation.collections))
    for key, names in places:
        for number, name in enumerate(names):
            place = _place(values, key, name)
            if name in names[:number]:
                yield Problem(place, f'"{name}" is named twice; expected each collection once')
                continue
            found = [replace(each, absent=_may_come(name, sources)) for each in attempt(place, _look_up, name, sources)]
            yield from found
            if not found and not sources.is_local(name):
                licence = attempt(place, require_licensed_corpus, without_suffixes(name))
                yield from (replace(problem, absent=True) for problem in licence)
            if not found and key[-1] != "train" and sources.is_local(name) and not sources.collection(name).qrels:
                yield Problem(place, f'"{name}" has no judgments; expected a judged split to measure on')
    if config.validation:
        for name in config.validation.collections:
            if sources.place(name) in {sources.place(test) for test in config.collections.test}:
                text = f'"{name}" is a test collection too; expected other queries, or the best is chosen by the test'
                yield Problem(_place(values, ("validation", "collections"), name), text)


def _place(values: Any, key: Key, name: str) -> Key:
    """Where a collection stands in the file: at its last mention, or with all the others if it stands in a suite."""
    for part in key:
        values = values.get(part) if isinstance(values, dict) else None
    if not isinstance(values, list) or name not in values:
        return key
    return (*key, len(values) - 1 - values[::-1].index(name))


def _look_up(name: str, sources: Sources) -> None:
    """Raise unless there is such a collection. Nothing is fetched: of ir_datasets' ones only the name is looked up."""
    if sources.is_local(name):
        sources.collection(name)
        return
    import ir_datasets

    try:
        ir_datasets.load(without_suffixes(name))
    except KeyError:
        load_collection(name)


def _may_come(name: str, sources: Sources) -> bool:
    """Whether it can only be a folder that is not here yet: ir_datasets has nothing of this beginning."""
    import ir_datasets

    return not sources.is_local(name) and name.split("/")[0] not in {
        known.split("/")[0] for known in ir_datasets.registry
    }


def _build_fusion(parameters: FusionParameters) -> None:
    Fusion(parameters.method, parameters.k, tuple(parameters.weights)).expect(len(parameters.stages))


def _check_first_stages(config: StudyConfig, known: set[str], broken: set[Key], sources: Sources) -> Iterator[Problem]:
    for name, stage in config.first_stages.items():
        key: Key = ("first_stages", name)
        given = [kind for kind in FirstStage.model_fields if getattr(stage, kind) is not None]
        if len(given) != 1 and key not in broken:
            kinds = ", ".join(FirstStage.model_fields)
            yield Problem(
                key, f"is {' and '.join(given) or 'nothing'}; expected one of {kinds}, as in {{bm25: {{k1: 0.9}}}}"
            )
        for kind in KINDS:
            if (section := getattr(stage, kind)) is not None:
                yield from attempt((*key, kind), make_retriever, kind, section.model_dump(exclude={"sha256"}))
        if stage.fuse is not None:
            yield from attempt((*key, "fuse"), _build_fusion, stage.fuse)
            for part in stage.fuse.stages:
                if part not in known:
                    yield Problem((*key, "fuse", "stages"), unknown("first stage", part, known))
                elif part in config.first_stages and config.first_stages[part].fuse is not None:
                    text = f'"{part}" is fused itself; expected first stages that are not: name their parts here'
                    yield Problem((*key, "fuse", "stages"), text)
        for collection, path in (stage.runs or {}).items():
            if not sources.file(path).is_file():
                text = f'"{path}": no such file in {sources.folder}'
                yield Problem((*key, "runs", collection), text, absent=True)
    uses: list[tuple[Key, str, Sequence[str]]] = [
        (("evaluation", "first_stage"), config.evaluation.first_stage, config.collections.test)
    ]
    for number, name in enumerate(config.evaluation.other_first_stages):
        place: Key = ("evaluation", "other_first_stages", number)
        uses.append((place, name, config.collections.test))
        if name in config.evaluation.first_stages[: number + 1]:
            yield Problem(place, f'"{name}" is named above already; expected each first stage once')
    if config.validation:
        name = config.validation.first_stage or config.evaluation.first_stage
        uses.append((("validation", "first_stage"), name, config.validation.collections))
    uses += [
        (("lists", name, "first_stage"), source.first_stage, sources.listed(name))
        for name, source in config.lists.items()
        if source.first_stage
    ]
    for key, name, collections in uses:
        if name not in known:
            yield Problem(key, unknown("first stage", name, known))
            continue
        for part in sources.fused(name):
            if part in config.first_stages and config.first_stages[part].runs is not None:
                for collection in collections:
                    yield from attempt(key, sources.run_file, part, collection)


def _check_bounds(config: StudyConfig, values: Any) -> Iterator[Problem]:
    complete = [name for name, members in suites().items() if set(members) <= set(config.collections.test)]
    tested = [*complete, *config.collections.test]
    measures = {
        canonical(measure) for measure in config.evaluation.measures if not list(attempt((), canonical, measure))
    }
    for number, bound in enumerate(config.bounds):
        key: Key = ("bounds", number)
        for field, name, known in (
            ("recipe", bound.recipe, _names(values, "recipes")),
            ("backbone", bound.backbone, _names(values, "backbones")),
            ("collection", bound.collection, tested),
        ):
            if name is not None and name not in known:
                yield Problem(
                    (*key, field),
                    unknown("complete suite or test collection" if field == "collection" else field, name, known),
                )
        if bound.measure is not None:
            faults = list(attempt((*key, "measure"), canonical, bound.measure))
            yield from faults
            if not faults and canonical(bound.measure) not in measures:
                yield Problem((*key, "measure"), unknown("measure", bound.measure, measures))
        if bound.at_least > bound.at_most:
            yield Problem(
                (*key, "at_least"), f"is {bound.at_least:g}, above at_most ({bound.at_most:g}); no value is in between"
            )


def _check_seeds(config: StudyConfig) -> Iterator[Problem]:
    for number, seed in enumerate(config.seeds):
        if seed in config.seeds[:number]:
            yield Problem(("seeds", number), f"{seed} is given twice; expected different seeds")


def _check_measures(config: StudyConfig) -> Iterator[Problem]:
    for number, measure in enumerate(config.evaluation.measures):
        yield from attempt(("evaluation", "measures", number), canonical, measure)
    if config.validation:
        yield from attempt(("validation", "measure"), canonical, config.validation.measure)
