"""One declaration: what a user sets is stated once, in a frozen, keyword-only dataclass; all else derives from it.

    @dataclass(frozen=True, kw_only=True)
    class Cut:
        depth: Annotated[Count, Doc("Passages re-ranked for each query.")] = 100
        precision: Annotated[Literal["fp32", "bf16"], Doc("Number format of matrix products.")] = "fp32"

        def __post_init__(self) -> None:
            check_settings(self)

`check_settings` checks values, `with_options` makes them the options of a verb, and `limbeck.core.schema.Declared` the
keys of a YAML section. Types are `int`, `float`, `str`, `bool`, `Literal` of texts, `tuple[str, ...]`, each perhaps
`| None`; bounds are those of `annotated_types`; `Doc` is one line of help.
"""

import dataclasses
import functools
import inspect
import math
import operator
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from typing_extensions import Doc

from limbeck.core.errors import UsageError

__all__ = [
    "Amount", "Correction", "Count", "Declared", "Doc", "Options", "Precision", "Rate", "Setting", "Was",
    "check_settings", "settings_of", "with_options",
]  # fmt: skip

Count = Annotated[int, Ge(1)]
Amount = Annotated[float, Ge(0), Lt(math.inf)]
Rate = Annotated[float, Gt(0), Lt(math.inf)]
Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
"""Number format of a cross-encoder's matrix products; `auto`: the fastest that is safe on the device."""
Correction = Literal["holm", "bh", "none"]
"""How p-values are corrected for their number: Holm's way, Benjamini and Hochberg's, or not at all."""

T = TypeVar("T")


@dataclass(frozen=True)
class Was:
    """In the annotation of a field: a name that its key had once, which is taken with a warning."""

    name: str


class _FromDeclaration:
    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from limbeck.core.schema import schema_of  # pydantic, which --help does not need

        return schema_of(source, handler)


Declared = Annotated[T, _FromDeclaration()]
"""`Declared[Optimizer]`, as the type of a section's field: a mapping with the keys of that declaration."""

Bound = Ge | Gt | Le | Lt


@dataclass(frozen=True)
class Setting:
    """One field of a declaration.

    Attributes:
        kind: `int`, `float`, `str`, `bool` or another class; of a tuple or list, that of its entries; where there are
            several, the first, which is the one of an option.
        others: further kinds.
        choices: the texts that it may be; empty where any may.
        default: `dataclasses.MISSING` where it must be given.
        optional: whether it may be None.
        many: whether it is a tuple or list.
    """

    name: str
    kind: type
    bounds: tuple[Bound, ...]
    choices: tuple[str, ...]
    help: str
    default: Any
    optional: bool
    many: bool
    others: tuple[type, ...] = ()

    @property
    def expected(self) -> str:
        """What it may be, in words: `a whole number ≥ 1`."""
        if self.choices:
            return (
                " or ".join([", ".join(self.choices[:-1]), self.choices[-1]]) if self.choices[1:] else self.choices[0]
            )
        nouns = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        noun = nouns.get(self.kind, f"a {self.kind.__name__}")
        return f"{'a list, each entry ' if self.many else ''}{noun}{_bounds(self.bounds)}"

    def accepts(self, value: Any) -> bool:
        """Whether a value is of its type and within its bounds."""
        if value is None:
            return self.optional
        if self.many:
            return isinstance(value, tuple | list) and all(
                dataclasses.replace(self, many=False).accepts(v) for v in value
            )
        if self.choices:
            return value in self.choices
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        if self.others and isinstance(value, self.others):
            return True
        if not isinstance(value, int | float if self.kind is float else self.kind):
            return False
        return all(_within(value, bound) for bound in self.bounds)


def settings_of(declaration: type) -> list[Setting]:
    """The fields of a declaration that a user sets, in their order: those with a `Doc`."""
    hints = get_type_hints(declaration, include_extras=True)
    found = [_setting(each.name, hints[each.name], _default(each)) for each in dataclasses.fields(declaration)]
    return [setting for setting in found if setting.help]


def check_settings(values: Any) -> None:
    """Refuse a declaration's values that are of another type or out of bounds.

    Raises:
        UsageError: each of them, with what was expected.
    """
    problems = []
    for setting in settings_of(type(values)):
        value = getattr(values, setting.name)
        if not setting.accepts(value):
            problems.append(f"{setting.name} is {value!r}, expected {setting.expected}")
    if problems:
        raise UsageError("\n".join(problems))


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the fields of a declaration become options.

    Attributes:
        names: field → option where it is not the field's own name, such as `{"model": "--backbone"}`.
        prefix: before the names of the others, such as `validation-`.
        without: fields that are no options.
        optional: nothing is required: what is not given comes from elsewhere, such as a file.
        defaults: those of this verb, where they are not the declaration's.
    """

    declaration: type
    names: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    without: Collection[str] = ()
    optional: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def parameters(self) -> dict[str, inspect.Parameter]:
        """Field → parameter of a verb. Its default is None, so that it can be told what was given."""
        settings = [each for each in settings_of(self.declaration) if each.name not in self.without]
        return {each.name: self._parameter(each) for each in settings}

    def _parameter(self, setting: Setting) -> inspect.Parameter:
        import typer

        flag = self.names.get(setting.name, f"--{self.prefix}{setting.name.replace('_', '-')}")
        kind: Any = Literal[setting.choices] if setting.choices and not setting.many else setting.kind
        default = self.defaults.get(setting.name, setting.default)
        shown = "" if default in (None, dataclasses.MISSING, (), "") else f"; default: {_text(default)}"
        least = next((bound.ge for bound in setting.bounds if isinstance(bound, Ge)), None)
        option = typer.Option(
            f"{flag}/--no-{flag[2:]}" if kind is bool else flag,
            help=f"{setting.help.removesuffix('.')}{shown}." if shown else setting.help,
            min=least if kind in (int, float) else None,  # type: ignore[arg-type]  # Ge takes more than numbers
            show_default=False,
        )
        required = default is dataclasses.MISSING and not self.optional
        return inspect.Parameter(
            flag[2:].replace("-", "_"),
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if required else None,
            annotation=Annotated[list[kind] | None if setting.many else kind if required else kind | None, option],
        )


def with_options(**sections: Options) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the options of declarations, each in the place of the parameter of its section's name.

    The verb gets a mapping for each: field → value of the options that the user gave, with those of `Options.defaults`.
    """

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        derived = {name: options.parameters() for name, options in sections.items()}
        parameters: list[inspect.Parameter] = []
        for each in inspect.signature(verb).parameters.values():
            own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
            parameters += derived[each.name].values() if each.name in derived else own

        @functools.wraps(verb)
        def run(**values: Any) -> None:
            for name, fields in derived.items():
                found = {field: values.pop(parameter.name) for field, parameter in fields.items()}
                given = {field: value for field, value in found.items() if value not in (None, [], ())}
                values[name] = {**sections[name].defaults, **given}
            verb(**values)

        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # which typer reads
        return run

    return decorate


def _default(declared: "dataclasses.Field[Any]") -> Any:
    factory = declared.default_factory
    return declared.default if factory is dataclasses.MISSING else factory()


def _setting(name: str, hint: Any, default: Any) -> Setting:
    bounds: list[Bound] = []
    text, choices, optional, many = "", (), False, False
    others: list[type] = []
    while True:
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
            bounds += [note for note in notes if isinstance(note, Bound)]
            text = next((note.documentation for note in notes if isinstance(note, Doc)), text)
        elif get_origin(hint) in (Union, types.UnionType):
            members = [member for member in get_args(hint) if member is not type(None)]
            optional = optional or len(members) < len(get_args(hint))
            hint, others = members[0], others + [get_origin(member) or member for member in members[1:]]
        elif get_origin(hint) in (tuple, list):
            hint, many = get_args(hint)[0], True
        elif get_origin(hint) is Literal:
            hint, choices = str, get_args(hint)
        else:
            kind = get_origin(hint) or hint
            return Setting(
                name=name,
                kind=kind,
                bounds=tuple(bounds),
                choices=choices,
                help=text,
                default=default,
                optional=optional,
                many=many,
                others=tuple(others),
            )


def _bounds(bounds: tuple[Bound, ...]) -> str:
    low = next((each for each in bounds if isinstance(each, Ge | Gt)), None)
    high = next((each for each in bounds if isinstance(each, Le | Lt) and _edge(each) < math.inf), None)
    if low and high:
        words = "from" if isinstance(low, Ge) else "above", "to below" if isinstance(high, Lt) else "to"
        return f" {words[0]} {_edge(low):g} {words[1]} {_edge(high):g}"
    return "".join(f" {_COMPARED[type(each)][0]} {_edge(each):g}" for each in (low, high) if each)


_COMPARED: dict[type, tuple[str, Callable[[Any, Any], bool]]] = {
    Ge: ("≥", operator.ge),
    Gt: ("above", operator.gt),
    Le: ("≤", operator.le),
    Lt: ("below", operator.lt),
}


def _edge(bound: Bound) -> Any:
    return getattr(bound, type(bound).__name__.lower())


def _within(value: Any, bound: Bound) -> bool:
    return _COMPARED[type(bound)][1](value, _edge(bound))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
