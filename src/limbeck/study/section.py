"""What all sections of a study file have in common: strict keys, and the types of their values."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def listed(value: Any) -> Any:
    """One name stands for a list of it."""
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(listed), Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Precision = Literal["fp32", "bf16"]


class Section(BaseModel):
    """A mapping of known keys with values of the right type: nothing is converted, nothing unknown is let pass."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
