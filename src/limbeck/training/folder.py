"""The folder of a training: it belongs to one plan."""

import json
from pathlib import Path

from limbeck.errors import DataError, UsageError
from limbeck.files import write_json
from limbeck.training.plan import TrainingPlan


def claim(output: Path, plan: TrainingPlan, write: bool = True) -> None:
    """Write the plan down, unless another process does, or refuse a folder that another plan has begun.

    Raises:
        UsageError: it belongs to another plan, or to something else.
        DataError: its plan.json is damaged.
    """
    path, described = output / "plan.json", json.loads(json.dumps(plan.describe()))
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path}: not JSON ({error}); remove {output} to train anew") from error
        if not isinstance(found, dict):
            raise DataError(f"{path}: not a JSON object; remove {output} to train anew")
        different = [key for key in described if found.get(key) != described[key]]
        if different:
            raise UsageError(
                f"{output} holds a training with other {', '.join(different)}; "
                "give another --output, or remove that folder to train anew"
            )
    elif any(output.glob("checkpoints/*")) or (output / "model").exists():
        raise UsageError(f"{output} is not empty and has no plan.json; give another --output")
    elif write:
        write_json(path, described)
