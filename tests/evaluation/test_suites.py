import pytest

from limbeck.collections import suites
from limbeck.evaluation import suite_means


def test_a_suite_is_averaged_over_its_members_each_counting_alike():
    means = {member: float(number) for number, member in enumerate(suites()["in-domain"])}
    assert suite_means(means) == {"trec-dl": 1.5, "in-domain": 1.0}
    assert suite_means({**means, "mini/test": 9.0}) == {"trec-dl": 1.5, "in-domain": 1.0}


@pytest.mark.parametrize("suite", ["beir13", "lotte-search", "ood", "minified", "nanobeir", "in-domain"])
def test_a_suite_that_lacks_a_member_is_not_averaged(suite: str):
    complete = dict.fromkeys(suites()[suite], 0.5)
    assert suite_means(complete)[suite] == 0.5
    for member in complete:
        assert suite not in suite_means({name: value for name, value in complete.items() if name != member})
