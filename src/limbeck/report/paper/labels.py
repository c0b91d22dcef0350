"""Short names for the columns and axes of a paper."""

LABELS = {
    "msmarco-passage/dev/small": "MS MARCO dev",
    "msmarco-passage/trec-dl-2019/judged": "DL 19",
    "msmarco-passage/trec-dl-2020/judged": "DL 20",
    "beir/arguana": "ArguAna",
    "beir/climate-fever": "C-FEVER",
    "beir/dbpedia-entity/test": "DBPedia",
    "beir/fever/test": "FEVER",
    "beir/fiqa/test": "FiQA",
    "beir/hotpotqa/test": "HotpotQA",
    "beir/nfcorpus/test": "NFCorpus",
    "beir/nq": "NQ",
    "beir/quora/test": "Quora",
    "beir/scidocs": "SCIDOCS",
    "beir/scifact/test": "SciFact",
    "beir/webis-touche2020/v2": "Touché v2",
    "beir/trec-covid": "TREC-COVID",
    "lotte/writing/test/search": "Writing",
    "lotte/recreation/test/search": "Recreation",
    "lotte/science/test/search": "Science",
    "lotte/technology/test/search": "Technology",
    "lotte/lifestyle/test/search": "Lifestyle",
    "disks45/nocr/trec-robust-2004": "Robust04",
    "in-domain": "In domain",
    "trec-dl": "TREC-DL",
    "beir13": "BEIR-13",
    "lotte-search": "LoTTE search",
    "robust04": "Robust04",
    "ood": "LoTTE + Robust04",
    "minified": "small suite",
    "nanobeir": "NanoBEIR",
}
"""Collection (ir_datasets id) or suite → what a paper calls it; a name that is not here stays as it is."""


def label(name: str) -> str:
    """
    >>> label("beir/nq"), label("ours")
    ('NQ', 'ours')
    """
    return LABELS.get(name, name)
