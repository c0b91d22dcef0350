"""The folder of a training: it belongs to one plan."""

import json
import os
from pathlib import Path
from typing import Any

from limbeck.encoder.aside import writing
from limbeck.errors import DataError, UsageError
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
            found = json.loads(path.read_text())
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


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that is there complete or not at all."""
    aside = path.with_name(f".{path.name}")
    with writing(path), aside.open("w") as file:
        file.write(json.dumps(value, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
        os.replace(aside, path)
