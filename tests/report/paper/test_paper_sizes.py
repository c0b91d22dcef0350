from limbeck.report.paper.scores import hub_id


def test_a_pinned_backbone_is_the_published_one() -> None:
    backbone = {"name": "mine", "model": "google/electra-base-discriminator@abc123"}
    assert hub_id(backbone, rehearsal=False) == "google/electra-base-discriminator"
