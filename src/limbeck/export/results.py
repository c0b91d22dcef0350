"""What an exported model of a study has been measured at, with intervals."""

from dataclasses import dataclass

from limbeck.evaluation import bootstrap_interval, compare
from limbeck.export.names import public_name
from limbeck.export.origin import Origin
from limbeck.study.run.store import read_json


@dataclass(frozen=True)
class Result:
    """One measure on one test collection; means over its `queries`.

    Attributes:
        interval: 95 % bootstrap interval of the mean, over queries: the model is this one, no seed is drawn.
        first_stage: the mean of the candidates as they came.
        difference, difference_interval: to the first stage, paired by query.
    """

    collection: str
    measure: str
    queries: int
    value: float
    interval: tuple[float, float]
    first_stage: float
    difference: float
    difference_interval: tuple[float, float]


def measured(origin: Origin) -> list[Result]:
    """The results of a study's model, by test collection and measure; none for a model of no study."""
    store, index = origin.study, origin.index
    if store is None:
        return []
    found = []
    for collection, key in origin.cell["evaluations"].items():
        own = read_json(store.evaluation(origin.cell["id"], key) / "values.json")["values"]
        first_key = index["first_stage"]["evaluations"][collection]
        first = read_json(store.evaluation(None, first_key) / "values.json")["values"]
        for measure in index["measures"]:
            values = own[measure]
            paired = compare(values, first[measure])
            found.append(
                Result(
                    public_name(collection),
                    measure,
                    len(values),
                    sum(values.values()) / len(values),
                    bootstrap_interval(list(values.values())),
                    sum(first[measure].values()) / len(values),
                    paired.difference,
                    (paired.models and paired.models.interval) or (paired.difference, paired.difference),
                )
            )
    return found
