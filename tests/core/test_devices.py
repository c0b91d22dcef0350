import sys

import pytest
import torch

from limbeck.core import devices
from limbeck.core.devices import Precision, ahead, choose_precision, keep_freed_memory
from limbeck.core.errors import UsageError


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone")
def test_glibc_takes_the_settings() -> None:
    keep_freed_memory.cache_clear()
    assert keep_freed_memory()


def test_nothing_happens_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_freed_memory.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
    keep_freed_memory.cache_clear()


CPU = torch.device("cpu")


def test_auto_takes_what_the_cpu_has_in_hardware_and_a_forced_slow_precision_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for fast in (True, False):
        monkeypatch.setattr(devices, "has_fast_bf16_cpu", lambda fast=fast: fast)
        assert choose_precision("auto", CPU) == Precision("bf16" if fast else "fp32")
        assert choose_precision("fp32", CPU).note is None
        forced = choose_precision("bf16", CPU)
        assert (forced.name, forced.note is None) == ("bf16", fast)
        assert "slower than fp32" in str(choose_precision("fp16", CPU).note)


@pytest.mark.parametrize(
    ("capability", "auto", "auto_without_fp16", "bf16_said"),
    [((9, 0), "bf16", "bf16", False), ((7, 5), "fp16", "fp32", True), ((6, 1), "fp32", "fp32", True)],
)
def test_auto_takes_what_the_gpu_has(
    capability: tuple[int, int], auto: str, auto_without_fp16: str, bf16_said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    gpu = torch.device("cuda", 0)
    assert choose_precision("auto", gpu).name == auto
    assert choose_precision("auto", gpu, fp16=False).name == auto_without_fp16
    assert (choose_precision("bf16", gpu).note is not None) == bf16_said


def test_precisions_that_cannot_be_are_refused() -> None:
    for precision, fp16, text in (
        ("fp8", True, "expected one of auto"),
        ("tf32", True, "CUDA"),
        ("fp16", False, "overflows"),
    ):
        with pytest.raises(UsageError, match=text):
            choose_precision(precision, CPU, fp16=fp16)


def test_what_is_made_ahead_comes_in_order_and_its_errors_too() -> None:
    for device in (CPU, torch.device("cuda", 0)):
        assert list(ahead(lambda n: n * n, range(50), device)) == [n * n for n in range(50)]
        assert list(ahead(str, [], device)) == []
        with pytest.raises(ZeroDivisionError):
            list(ahead(lambda n: 1 / (3 - n), range(9), device))
