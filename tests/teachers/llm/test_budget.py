import pytest

from limbeck.core.errors import UsageError
from limbeck.teachers.llm import Budget, BudgetSpent, Call, Cap, Prices

CALL = Call("m", "", {"max_tokens": 100}, ({"role": "user", "content": "x" * 100},), 0, {})


def nothing():
    return 0, 0


def test_calls_under_way_count_with_the_most_they_may_cost():
    budget = Budget(Cap(tokens=int(1.5 * CALL.token_bound)))
    with budget.reserved(CALL, nothing):
        other = Call("m", "", {"max_tokens": 100}, CALL.messages, 1, {})
        with pytest.raises(BudgetSpent, match="does not allow another call"), budget.reserved(other, nothing):
            pass
    with budget.reserved(CALL, nothing):
        pass


def test_what_is_spent_counts():
    budget = Budget(Cap(tokens=CALL.token_bound + 10))
    with budget.reserved(CALL, lambda: (5, 5)):
        pass
    with pytest.raises(BudgetSpent), budget.reserved(CALL, lambda: (5, 6)):
        pass


def test_money_is_by_the_price_of_prompts_and_of_answers():
    assert Prices(2.0, 10.0).of(1_000_000, 500_000) == 7.0
    cap = Cap(money=1.0, prices=Prices(1.0, 4.0))
    assert cap.allows(600_000, 100_000)
    assert not cap.allows(600_000, 100_001)


def test_a_prompt_never_has_more_tokens_than_are_reserved(chat_model):
    from transformers import AutoTokenizer

    text = "größer 日本 \U0001f409 word" * 20
    call = Call("m", "", {"max_tokens": 7}, ({"role": "user", "content": text},), 0, {})
    ids = AutoTokenizer.from_pretrained(chat_model).apply_chat_template(list(call.messages), return_dict=False)
    assert len(ids) + 7 <= call.token_bound


def test_an_answers_bound_is_the_larger_of_those_sent_and_a_call_without_one_is_refused():
    def bound(**parameters):
        return Call("m", "", parameters, CALL.messages, 0, {}).output_bound

    assert (bound(max_tokens=7), bound(max_tokens=None, max_completion_tokens=9)) == (7, 9)
    assert bound(max_tokens=7, max_completion_tokens=9) == 9
    with pytest.raises(UsageError, match="expected max_tokens or max_completion_tokens"):
        bound(max_tokens=None)
