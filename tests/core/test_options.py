"""A toy declaration: its check, its options and its YAML section say the same."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from annotated_types import Ge, Lt
from typer.testing import CliRunner

from limbeck.core.errors import UsageError
from limbeck.core.options import Amount, Count, Declared, Doc, Options, Rate, Was, check_settings, with_options
from limbeck.core.schema import known_keys, read_section


@dataclass(frozen=True, kw_only=True)
class Still:
    metal: Annotated[Literal["copper", "glass"], Doc("What it is made of.")] = "copper"
    volume: Annotated[Count, Was("litres"), Doc("Litres.")] = 5
    heat: Annotated[Rate, Doc("Power in kW.")]
    loss: Annotated[Annotated[float, Ge(0), Lt(1)] | None, Doc("Share that is lost.")] = None
    weight: Annotated[Amount, Doc("In kg.")] = 0.0
    sealed: Annotated[bool, Doc("Whether it is tight.")] = True
    labels: Annotated[tuple[str, ...], Doc("What it says on it; once for each.")] = ()

    def __post_init__(self) -> None:
        check_settings(self)
        if self.metal == "glass" and self.heat > 9:
            raise UsageError("glass breaks above 9 kW")


@dataclass(frozen=True, kw_only=True)
class House:
    name: Annotated[str, Doc("Its name.")]
    stills: Annotated[dict[str, Declared[Still]], Doc("By name.")] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"metal": "tin"}, "metal is 'tin', expected copper or glass"),
        ({"volume": 0}, "volume is 0, expected a whole number ≥ 1"),
        ({"volume": True}, "volume is True, expected a whole number ≥ 1"),
        ({"heat": float("nan")}, "heat is nan, expected a number above 0"),
        ({"loss": 1}, "loss is 1, expected a number from 0 to below 1"),
        ({"weight": float("inf")}, "weight is inf, expected a number ≥ 0"),
        ({"sealed": 1}, "sealed is 1, expected true or false"),
        ({"labels": "one"}, "labels is 'one', expected a list, each entry a text"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_was_expected(values: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=f"^{text}$"):
        Still(**{"heat": 1.0, **values})


def test_all_values_that_cannot_be_are_named_at_once() -> None:
    with pytest.raises(UsageError, match=r"volume is 0.*\nheat is -1"):
        Still(volume=0, heat=-1)


def command(**options: Any) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @with_options(still=Options(declaration=Still, names={"heat": "--kilowatts"}, **options))
    def run(*, still: dict[str, Any], twice: bool = False) -> None:
        typer.echo(f"{still} {twice}")

    return app


def test_options_show_choices_bounds_help_and_default() -> None:
    text = " ".join(CliRunner().invoke(command(), ["--help"]).output.replace("│", " ").split())
    for expected in ("copper|glass", "Litres; default: 5.", "x>=1", "--kilowatts", "--no-sealed", "[required]"):
        assert expected in text


def test_a_verb_gets_what_was_given_and_nothing_else() -> None:
    given = CliRunner().invoke(
        command(), ["--kilowatts", "3", "--no-sealed", "--labels", "a", "--labels", "b", "--twice"]
    )
    assert given.output == "{'heat': 3.0, 'sealed': False, 'labels': ['a', 'b']} True\n"
    own = CliRunner().invoke(command(optional=True, defaults={"volume": 7}), [])
    assert own.output == "{'volume': 7} False\n"
    assert CliRunner().invoke(command(), []).exit_code == 2
    assert CliRunner().invoke(command(), ["--kilowatts", "3", "--metal", "tin"]).exit_code == 2


def test_a_file_gives_the_same_values_and_old_names_are_taken_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "house.yaml"
    path.write_text("name: Old\nstills:\n  small: {heat: 2.5, litres: 3, labels: [a]}\n")
    house, warnings = read_section(House, path)
    assert house == House(name="Old", stills={"small": Still(heat=2.5, volume=3, labels=("a",))})
    assert warnings == ["house.yaml: stills.small.litres is now called volume; the old name still works"]


def test_everything_wrong_with_a_file_is_said_at_once_and_where(tmp_path: Path) -> None:
    path = tmp_path / "house.yaml"
    path.write_text(
        "name: 5\nstills:\n  a: {heet: 1}\n  b: {heat: 0, metal: cooper}\n  c:\n    heat: 10\n    metal: glass\n"
        "  d: {heat: 1, sealed: 1, volume: 2.0, weight: .inf}\n  e: [1]\n"
    )
    with pytest.raises(UsageError) as caught:
        read_section(House, path)
    assert str(caught.value).splitlines() == [
        "house.yaml:1: name: is 5; expected a text, in quotes where it looks like a number",
        "house.yaml:3: stills.a.heat: is missing",
        "house.yaml:3: stills.a.heet: is no key of this section; expected "
        'metal, volume, heat, loss, weight, sealed, labels; did you mean "heat"?',
        "house.yaml:4: stills.b.metal: is \"cooper\"; expected 'copper' or 'glass'; did you mean \"copper\"?",
        "house.yaml:4: stills.b.heat: is 0; expected a number above 0",
        "house.yaml:5: stills.c: glass breaks above 9 kW",
        "house.yaml:8: stills.d.volume: is 2.0; expected a whole number",
        "house.yaml:8: stills.d.weight: is inf; expected a finite number",
        "house.yaml:8: stills.d.sealed: is 1; expected true or false",
        "house.yaml:9: stills.e: is [1]; expected a mapping",
    ]


def test_known_keys_are_those_of_the_declaration() -> None:
    assert known_keys(House) == ["name", "stills"]
    assert known_keys(House, ("stills",)) == []
    assert known_keys(House, ("stills", "any"))[:2] == ["metal", "volume"]
