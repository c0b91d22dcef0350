"""The learning rate of a step."""

SCHEDULES = ("linear", "constant")


def learning_rate(peak: float, step: int, steps: int, warmup: float, schedule: str = "linear") -> float:
    """Linear warm-up to `peak`, then linear decay to zero behind the last step, or `peak` for good.

    Args:
        step: from 0.
        warmup: share of `steps` when below 1, else a number of steps.
        schedule: one of `SCHEDULES`: how the rate goes on behind the warm-up.
    """
    rising = warmup_steps(steps, warmup)
    if step < rising:
        return peak * (step + 1) / rising
    return peak if schedule == "constant" else peak * (steps - step) / max(1, steps - rising)


def warmup_steps(steps: int, warmup: float) -> int:
    """For how many of the steps the rate rises."""
    return min(steps, round(warmup * steps) if warmup < 1 else int(warmup))
