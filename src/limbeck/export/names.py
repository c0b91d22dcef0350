"""Collections as a card names them: without the folders of whoever made the study."""


def public_name(collection: str) -> str:
    """A collection's name; of a folder, the end: `scifact/test@1/5` for `/data/scifact/test@1/5`."""
    base, suffix = _parted(collection)
    if not base.startswith((".", "/", "~")):
        return collection
    return "/".join(_parts(base)[-2:]) + suffix


def dataset(collection: str) -> str:
    """A collection's name without split, folds and folders: `scifact`."""
    base, _ = _parted(collection)
    parts = _parts(base)
    return (parts[-2:] if base.startswith((".", "/", "~")) else parts)[0]


def _parted(collection: str) -> tuple[str, str]:
    """What is before the first `@` or `~sentences`, and the rest."""
    end = min(place for sign in ("@", "~sentences") if (place := f"{collection}{sign}".find(sign)) >= 0)
    return collection[:end], collection[end:]


def _parts(base: str) -> list[str]:
    return [part for part in base.split("/") if part not in ("", ".", "..", "~")]
