"""What a study's parts refer to, and whether it is there: all that a schema cannot see."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from limbeck.collections import load_collection, suites
from limbeck.collections.collection import require_licensed_corpus
from limbeck.collections.load import without_suffixes
from limbeck.core.errors import LimbeckError, nearest, plural
from limbeck.core.schema import attempt
from limbeck.core.yaml_file import Key, Problem, show
from limbeck.evaluation import canonical
from limbeck.retrieval import KINDS
from limbeck.runs import Fusion
from limbeck.study.config.check_recipes import check_lists, check_recipes, saved_config
from limbeck.study.config.derived_sections import FirstStage, FusionParameters, Teacher, keys_of
from limbeck.study.config.resolver import BM25_NAME, Sources
from limbeck.study.config.schema import Backbone, StudyConfig, known_backbones, longest_pair, unknown
from limbeck.teachers.kinds import teacher_kinds


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
        *_check_models(config, broken, sources),
        *check_lists(config, known, broken, sources),
        *check_recipes(config, values, known["lists"], broken, sources),
        *_check_warmup(config),
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
                yield from attempt((*key, kind), partial(KINDS[kind], **section.model_dump(exclude={"sha256"})))
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


def _check_teacher(name: str, teacher: Teacher, sources: Sources) -> Iterator[Problem]:
    """Problems of one teacher but for its models. No endpoint is asked anything here."""
    key: Key = ("teachers", name)
    kinds = teacher.kinds
    if len(kinds) != 1:
        yield Problem(key, f"is {' and '.join(kinds) or 'nothing'}; expected one of {', '.join(teacher_kinds())}")
        return
    own = keys_of(teacher_kinds()[kinds[0]])
    for extra in sorted(teacher.model_fields_set - own - set(kinds)):
        others = [kind for kind, declared in teacher_kinds().items() if extra in keys_of(declared)]
        if others:
            yield Problem(
                (*key, extra), f"goes with {' and '.join(others)}, and this teacher is {kinds[0]}. Leave it out"
            )
    try:
        _ = teacher.declared
    except LimbeckError as error:
        yield Problem((*key, kinds[0]), str(error))
        return
    if all(sources.is_found(model) for model in teacher.models):
        yield from attempt(key, teacher.declared.describe, sources)


def _check_models(config: StudyConfig, broken: set[Key], sources: Sources) -> Iterator[Problem]:
    """Problems of `first_stages`' models, `backbones` and `teachers`, some of which are `broken` otherwise.

    A Hub id is taken at its word: nothing is fetched here.
    """
    key: Key
    for name, stage in config.first_stages.items():
        if stage.encoder:
            key = ("first_stages", name, "splade" if stage.splade else "dense")
            yield from _check_model(key, "model", stage.encoder.model, stage.encoder.sha256, sources)
    for name, teacher in config.teachers.items():
        faults = list(_check_teacher(name, teacher, sources))
        yield from faults
        if len(teacher.kinds) == 1 and not any(fault.key[-1] == teacher.kinds[0] for fault in faults):
            for model in teacher.models:
                yield from _check_model(("teachers", name), teacher.kinds[0], model, teacher.sha256, sources)
    for name, backbone in config.backbones.items():
        key = ("backbones", name)
        if not backbone.model:
            if key not in broken:
                known = known_backbones()
                text = f"has no model, and is no known backbone; expected model: NAME, or one of {', '.join(known)}"
                yield Problem(key, f"{text}{nearest(name, known)}")
            continue
        if backbone.like is not None and backbone.like not in known_backbones():
            yield Problem((*key, "like"), unknown("known backbone", backbone.like, known_backbones()))
        yield from _check_precision(name, backbone, config)
        faults = list(_check_model(key, "model", backbone.model, backbone.sha256, sources))
        yield from faults
        if faults:
            continue
        if sources.model(backbone.model).kind == "hub":
            yield from _check_positions(key, backbone)
            continue
        architecture = saved_config(Path(sources.model(backbone.model).path))
        layers = architecture.get("num_hidden_layers")
        if layers and backbone.layers and backbone.layers > layers:
            yield Problem(
                (*key, "layers"), f"is {backbone.layers}; {backbone.model} has {layers}, expected 1 to {layers}"
            )
        if (deepest := backbone.layers or layers) and any(depth >= deepest for depth in backbone.exits):
            possible = {1: "none: no layer stands before the last", 2: "1"}
            expected = possible.get(deepest, f"some of 1 to {deepest - 1}")
            text = f"are {', '.join(map(str, backbone.exits))}; of {plural(deepest, 'layer')}, expected {expected}"
            yield Problem((*key, "exits"), text)
        positions = architecture.get("max_position_embeddings")
        meant = key not in broken or backbone.max_length is not None
        yield from _check_length(key, backbone, positions if meant else None)


def _check_precision(name: str, backbone: Backbone, config: StudyConfig) -> Iterator[Problem]:
    for section in ("optimizer", "evaluation"):
        precision = getattr(config, section).precision
        # TF32 has the range of fp32: what runs in the one runs in the other.
        if backbone.precisions is not None and {"tf32": "fp32"}.get(precision, precision) not in backbone.precisions:
            text = f"is {precision}, in which {name} does not train or run; expected {' or '.join(backbone.precisions)}"
            yield Problem((section, "precision"), text)


def _check_positions(key: Key, backbone: Backbone) -> Iterator[Problem]:
    """A length beyond what a known model of the Hub takes."""
    model = backbone.model.partition("@")[0]
    positions = next((k.positions for k in known_backbones().values() if k.model == model), None)
    yield from _check_length(key, backbone, positions)


def _check_length(key: Key, backbone: Backbone, positions: int | None) -> Iterator[Problem]:
    longest = longest_pair(backbone)
    if positions is None or longest <= positions:
        return
    text = f"is {longest}; {backbone.model} takes {positions} tokens, expected at most that"
    if backbone.pair_tokens is None:
        text = f"makes with query_tokens a pair that {text}"
        yield Problem((*key, "passage_tokens"), text)
    else:
        yield Problem((*key, "max_length"), text)


def _check_model(key: Key, field: str, model: str, sha256: str | None, sources: Sources) -> Iterator[Problem]:
    try:
        source = sources.model(model)
    except LimbeckError as error:
        yield Problem((*key, field), str(error))
        return
    if sha256 is None:
        return
    if source.kind == "hub":
        yield Problem((*key, "sha256"), f"is given for the Hub id {model}; expected it for local weights only")
        return
    try:
        source.expect(sha256)
    except LimbeckError as error:
        yield Problem((*key, "sha256"), str(error))


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


def _check_warmup(config: StudyConfig) -> Iterator[Problem]:
    warmup = config.optimizer.warmup
    short = {
        show(("recipes", name, number)): stage.steps
        for name, stages in config.recipes.items()
        for number, stage in enumerate(stages)
        if stage.steps is not None and 1 <= stage.steps <= warmup
    }
    if short:
        where = ", ".join(f"{stage} ({steps} steps)" for stage, steps in short.items())
        text = (
            f"is {warmup:g} steps, which leaves none at the full learning rate in {where}; expected fewer than that, "
            "or a share of each stage such as 0.1"
        )
        yield Problem(("optimizer", "warmup"), text)


def _check_seeds(config: StudyConfig) -> Iterator[Problem]:
    for number, seed in enumerate(config.seeds):
        if seed in config.seeds[:number]:
            yield Problem(("seeds", number), f"{seed} is given twice; expected different seeds")


def _check_measures(config: StudyConfig) -> Iterator[Problem]:
    for number, measure in enumerate(config.evaluation.measures):
        yield from attempt(("evaluation", "measures", number), canonical, measure)
    if config.validation:
        yield from attempt(("validation", "measure"), canonical, config.validation.measure)
