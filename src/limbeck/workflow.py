"""The workflow from Python, as functions: what the front door, `import limbeck as lb`, offers beside the classes.

Each takes collections by name or loaded, runs and lists by path or in memory, and does what the verb of its name does.
docs/python.md has all of it in one piece.
"""

import os
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from limbeck.collections import Collection, load_collection
from limbeck.core.errors import UsageError, nearest, plural
from limbeck.core.options import settings_of
from limbeck.evaluation import Correction, Evaluation, measure_run
from limbeck.evaluation import rerank as rerank_run
from limbeck.evaluation.run_comparison import RunDifference, compare_runs
from limbeck.lists import Lists, Sample, Sampler, candidates_to_teach, lists_from_scores, open_lists
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import Objective, parse
from limbeck.runs import Run, read_run
from limbeck.training import Backbone, Settings, Stage, TrainingPlan, Validation
from limbeck.training import train as run_training

if TYPE_CHECKING:
    from limbeck.study.analysis.results import StudyResults

T = TypeVar("T")
Name = str | os.PathLike[str]


def retrieve(collection: Collection | Name, first_stage: str = "bm25", *, depth: int = 100, **settings: Any) -> Run:
    """Rank a collection's documents for each of its queries.

    Args:
        first_stage: `bm25`, `splade` or `dense`.
        depth: candidates per query.
        settings: of the first stage, such as `k1` and `b` of BM25, `model` of the others.

    Raises:
        UsageError: no such first stage or setting.
    """
    from limbeck.retrieval import KINDS, make_retriever

    _one_of("first_stage", first_stage, KINDS)
    return make_retriever(first_stage, settings).retrieve(_collection(collection), depth)


def teach(
    collection: Collection | Name, run: Run | Name, teacher: Name, *, scale: float = 1.0, depth: int | None = None
) -> Lists:
    """Training lists from a run's candidates, with a bi-encoder's scores (cosine × `scale`) and the order they imply.

    Embeddings are kept in limbeck's cache. Other teachers have verbs, `limbeck teach`, whose lists `read_lists` reads.

    Args:
        teacher: sentence-transformers checkpoint: folder, Hub id or `package:NAME/PATH`.
        depth: candidates per query; all of them by default.
    """
    from limbeck.teachers import BiEncoder, biencoder_scores

    texts = _collection(collection)
    candidates, part = candidates_to_teach(texts, _run(run), depth)
    encoder = BiEncoder.load(os.fspath(teacher))
    details = {"teacher_version": encoder.version, "teacher_scale": repr(scale)}
    return lists_from_scores(candidates, biencoder_scores(encoder, texts, part, scale), encoder.name, details)


def train(
    backbone: Backbone | Name,
    objective: Objective | str,
    lists: Lists | Name,
    *,
    collection: Collection | Name,
    output: Name,
    steps: int | None = None,
    epochs: float | None = None,
    sample: Sample | str = "all",
    seed: int = 1,
    validation: Mapping[Collection | Name, Run | Name] | None = None,
    **settings: Any,
) -> CrossEncoder:
    """Train a cross-encoder, and load it. The same call again resumes, or loads what is finished.

    Args:
        backbone: folder, Hub id or `package:NAME/PATH`; or a `Backbone` with all its settings.
        objective: such as `RankNet()` or `"RankNet + 0.1*InfoNCE"`.
        lists: in memory, or the path of a Parquet file.
        collection: the texts of the lists.
        output: folder for the model (`output/model`), its log and its checkpoints.
        steps, epochs: how long; one of the two.
        sample: passages of a list that a step sees: `"positives=1, negatives=7"`, `"size=16"`, or all.
        validation: collection → run whose candidates are re-ranked to choose the checkpoint.
        settings: those of `Backbone`, `Settings`, a stage and its validation, such as `max_length`, `learning_rate`,
            `lists_per_step`, `precision` and `every`.

    Raises:
        UsageError: an unknown setting; lists without the signal that the objective reads; another training's output.
    """
    given = dict(settings)
    own = backbone if isinstance(backbone, Backbone) else Backbone(model=os.fspath(backbone), **_taken(given, Backbone))
    found = _lists(lists)
    drawn = Sample.parse(sample) if isinstance(sample, str) else sample
    of_stage = _taken(given, Stage)
    if (steps is None) == (epochs is None):
        raise UsageError("train needs steps or epochs, one of the two")
    if epochs is not None:
        batch = {} if "lists_per_step" not in of_stage else {"lists_per_step": of_stage["lists_per_step"]}
        probe = Stage(objective=_objective(objective), lists=found, sample=drawn, steps=1, **batch)
        steps = Sampler(found, drawn, probe.lists_per_step, seed=0).steps(epochs)
    optimizer = Settings(**_taken(given, Settings))
    checks = None
    if validation:
        sets = tuple((_collection(one), _run(run)) for one, run in validation.items())
        checks = Validation(sets=sets, **_taken(given, Validation))
    if given:
        known = [setting.name for kind in (Backbone, Stage, Settings, Validation) for setting in settings_of(kind)]
        name = next(iter(given))
        raise UsageError(f"train has no setting {name!r}{nearest(name, known)}; there are {', '.join(sorted(known))}")
    stage = Stage(objective=_objective(objective), lists=found, sample=drawn, steps=steps or 0, **of_stage)
    plan = TrainingPlan(
        backbone=own,
        stages=(stage,),
        collection=_collection(collection),
        seed=seed,
        settings=optimizer,
        validation=checks,
    )
    run_training(plan, Path(output))
    return CrossEncoder.load(Path(output) / "model")


def rerank(
    model: CrossEncoder | Name,
    collection: Collection | Name,
    run: Run | Name,
    *,
    depth: int = 100,
    precision: str = "fp32",
) -> Run:
    """Re-order the first `depth` candidates of each query with a cross-encoder."""
    encoder = model if isinstance(model, CrossEncoder) else CrossEncoder.load(model)
    return rerank_run(encoder, _collection(collection), _run(run), depth, precision)


def evaluate(
    collection: Collection | Name, run: Run | Name, measures: Sequence[str] = ("nDCG@10", "RR@10")
) -> Evaluation:
    """Measure a run on a collection's judgments; every judged query counts."""
    if isinstance(measures, str):
        measures = [measures]
    return measure_run(_collection(collection), _run(run), measures)


def compare(
    collection: Collection | Name,
    systems: Mapping[str, Run | Name | Sequence[Run | Name]],
    measures: Sequence[str] = ("nDCG@10",),
    *,
    all_pairs: bool = False,
    given: Sequence[str] = (),
    margin: float | None = None,
    correction: Correction = "holm",
) -> list[RunDifference]:
    """Compare systems on a collection, paired by query: do these models differ, and do these recipes?

    Args:
        systems: name → run, or the runs of its seeds. The first is what the others are compared with.
        all_pairs: every two systems instead.
        given: systems that no seed changes, such as BM25; else a single run is one training of several.
        margin: of equivalence, in the measure's unit.

    Raises:
        UsageError: fewer than two systems; a name in `given` that is none of them.
    """
    if len(systems) < 2:
        raise UsageError(f"compare needs two systems or more, {len(systems)} given")
    for name in given:
        _one_of("given", name, systems)
    texts = _collection(collection)
    names = [measures] if isinstance(measures, str) else measures
    measured = {
        system: [
            measure_run(texts, _run(run), names)
            for run in ([runs] if isinstance(runs, Run | str | os.PathLike) else runs)
        ]
        for system, runs in systems.items()
    }
    first, *others = systems
    couples = [(a, b) for b, a in combinations(systems, 2)] if all_pairs else [(other, first) for other in others]
    return compare_runs({texts.name: measured}, couples, given=frozenset(given), margin=margin, correction=correction)


class Study:
    """A study: cells (backbones × recipes × seeds), trained, evaluated and compared into a folder.

    Args:
        path: the study file; relative names in it are relative to its folder.

    Raises:
        MissingError: no such file.
        StudyError: all that is wrong with it, together.
    """

    def __init__(self, path: Name) -> None:
        from limbeck.study.config.study import load_study

        self._study = load_study(_name("path", path, "the path of a study file"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], folder: Name = ".") -> "Study":
        """A study from what its file would hold, as plain values; relative names are relative to `folder`.

        A key that is wrong is told with the line on which it stands in the file that these values make.
        """
        import yaml

        from limbeck.study.config.study import parse_study

        if not isinstance(values, Mapping):
            raise UsageError(f"values is {type(values).__name__}; expected a mapping with the sections of a study file")
        study = cls.__new__(cls)
        text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)
        study._study = parse_study(text, Path(folder) / "study.yaml")
        return study

    def __repr__(self) -> str:
        config = self._study.config
        sizes = f"{plural(len(config.backbones), 'backbone')} × {plural(len(config.recipes), 'recipe')}"
        return f"Study({config.name}: {sizes})"

    def plan(self, output: Name) -> dict[str, Any]:
        """What a run into `output` will take, as `limbeck study plan --json` gives it; nothing is fetched."""
        from limbeck.study.run.preview import preview

        return preview(self._study, Path(output))

    def run(self, output: Name) -> "StudyResults":
        """Run what is missing of the study into `output`, and gather its results. The same call again goes on.

        Raises LimbeckError where what all cells share cannot be had; a cell that fails is listed in the results.
        """
        from limbeck.study.analysis.gather import gather
        from limbeck.study.run.execute import run_study

        run_study(self._study, Path(output))
        return gather(Path(output))


def _collection(given: Collection | Name) -> Collection:
    if isinstance(given, Collection):
        return given
    return load_collection(_name("collection", given, "a Collection, or the name of one"))


def _run(given: Run | Name) -> Run:
    return given if isinstance(given, Run) else read_run(Path(_name("run", given, "a Run, or the path of a run file")))


def _lists(given: Lists | Name) -> Lists:
    return (
        given if isinstance(given, Lists) else open_lists(_name("lists", given, "Lists, or the path of a Parquet file"))
    )


def _objective(given: Objective | str) -> Objective:
    return parse(given) if isinstance(given, str) else given


def _name(what: str, given: Any, expected: str) -> str:
    if not isinstance(given, str | os.PathLike):
        raise UsageError(f"{what} is {type(given).__name__}; expected {expected}")
    return os.fspath(given)


def _one_of(what: str, name: str, choices: Mapping[str, T]) -> T:
    if name not in choices:
        raise UsageError(f"{what} is {name!r}, expected one of {', '.join(choices)}{nearest(name, choices)}")
    return choices[name]


def _taken(settings: dict[str, Any], declaration: type) -> dict[str, Any]:
    """Those of the settings that a declaration has; they are taken out."""
    return {each.name: settings.pop(each.name) for each in settings_of(declaration) if each.name in settings}
