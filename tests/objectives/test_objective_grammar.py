import re
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck import objectives
from limbeck.core.errors import UsageError
from limbeck.objectives import Sum, names, parse
from limbeck.objectives.grammar import classes

NUMBERS = st.floats(min_value=1e-30, max_value=1e30, allow_nan=False)

SECTIONS = ("Signal", "Shapes", "Usable lists", "Source")


@st.composite
def singles(draw):
    cls = draw(st.sampled_from(list(classes().values())))
    given = {
        f.name: draw(NUMBERS if isinstance(f.default, float) else st.sampled_from(["labels", "teacher_order"]))
        for f in fields(cls)
        if draw(st.booleans())
    }
    return cls(**given)


SUMS = st.lists(st.tuples(NUMBERS, singles()), min_size=2, max_size=4).map(lambda parts: Sum(tuple(parts)))


@given(singles() | SUMS, st.sampled_from([str, str.lower, str.upper]))
def test_what_is_printed_parses_back_in_any_case(objective, case):
    assert parse(case(str(objective))) == objective
    assert str(parse(str(objective))) == str(objective)


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("ranknet", "RankNet"),
        (" RankNet+.1 * infonce( TEMPERATURE = 5e-1 ) ", "RankNet + 0.1*InfoNCE(temperature=0.5)"),
        ("1e+2*BCE + 1*MSE", "100.0*BCE + MSE"),
        ("KL(temperature=1e+1)", "KL(temperature=10.0)"),
        ("InfoNCE(temperature=1)", "InfoNCE"),
        ("Hinge()", "Hinge"),
        ("adr-mse(temperature=2)", "ADR-MSE(temperature=2.0)"),
        ("0.5*RankNet", "0.5*RankNet"),
        ("lambdarank(signal=Teacher_Order)", "LambdaRank(signal=teacher_order)"),
        ("distillranknet", "DistillRankNET"),
    ],
)
def test_texts_are_read_as_they_look(written, printed):
    assert str(parse(written)) == printed


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("RankNt", 'unknown objective "RankNt"; did you mean "RankNet"?'),
        ("InfoNCE(temp=1)", 'no parameter "temp"; did you mean "temperature"?'),
        ("ListMLE(depth=1)", "it has none"),
        ("InfoNCE(0.5)", "expected temperature=VALUE"),
        ("InfoNCE(temperature=0)", "temperature is 0.0; expected a finite number above 0"),
        ("InfoNCE(temperature=-1)", "expected a finite number above 0"),
        ("InfoNCE(temperature=nan)", "expected a finite number above 0"),
        ("Hinge(margin=inf)", "expected a finite number above 0"),
        ("NDCGLoss2pp(mu=-1)", "expected 0 or a finite number above it"),
        ("InfoNCE(temperature=hot)", 'temperature is "hot"; expected a number'),
        ("InfoNCE(temperature=1,temperature=2)", "given twice"),
        ("LambdaRank(signal=teacher_scores)", "expected labels or teacher_order"),
        ("0*BCE", 'weight is "0"'),
        ("-1*BCE", 'weight is "-1"'),
        ("inf*BCE", 'weight is "inf"'),
        ("RankNet InfoNCE", "joined by +"),
        ("RankNet +", "joined by +"),
        ("BCE(", "joined by +"),
        ("", "joined by +"),
    ],
)
def test_a_wrong_text_is_refused_with_what_was_expected(written, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        parse(written)


def test_parameters_are_checked_however_an_objective_is_made():
    with pytest.raises(UsageError, match="temperature"):
        objectives.InfoNCE(temperature=True)
    assert objectives.InfoNCE(temperature=2) == parse("InfoNCE(temperature=2.0)")


def test_objectives_are_values():
    assert len({parse("KL"), parse("kl(temperature=1)"), parse("KL(temperature=2)")}) == 2
    with pytest.raises(FrozenInstanceError):
        parse("KL").temperature = 3


def test_a_sum_names_the_signals_of_all_parts():
    total = parse("RankNet + 0.1*InfoNCE")
    assert total.signals == {"teacher_order", "labels"}
    with pytest.raises(UsageError, match="several signals"):
        _ = total.signal
    assert parse("RankNet + DistillRankNET").signal == "teacher_order"


def test_the_published_set_of_objectives_is_there():
    assert set(names()) == {
        *("BCE", "MSE", "Hinge", "RankNet", "MarginMSE", "InfoNCE", "ListNet", "KL", "ListMLE"),
        *("LambdaRank", "NDCGLoss2pp", "ApproxNDCG", "ADR-MSE", "DistillRankNET"),
    }


@pytest.mark.parametrize("name", names())
def test_every_docstring_has_the_same_sections_in_order(name):
    text = classes()[name].__doc__
    places = [text.find(f"\n    {section}: ") for section in SECTIONS]
    assert all(place > 0 for place in places)
    assert places == sorted(places)
    assert "\n        loss = " in text


def test_objectives_are_imported_by_name_with_their_parameters():
    for cls in classes().values():
        assert getattr(objectives, cls.__name__) is cls
        assert cls.__name__ in objectives.__all__
    assert str(objectives.InfoNCE(temperature=0.5)) == "InfoNCE(temperature=0.5)"
