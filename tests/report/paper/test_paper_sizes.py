from limbeck.report.paper.scores import hub_id
from limbeck.study.analysis.results import Backbone


def test_a_pinned_backbone_is_the_published_one() -> None:
    model = "google/electra-base-discriminator@abc123"
    backbone = Backbone(name="mine", model=model, layers=12, parameters=None)
    assert hub_id(backbone, rehearsal=False) == "google/electra-base-discriminator"
