"""One file from a URL: resumed where it broke off, verified, and under its name only when it is whole and right."""

import hashlib
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.files import locked, wrap_write_errors, write_json
from limbeck.core.json_files import read_json
from limbeck.core.progress import say, with_status

CHUNK = 1 << 18
TRIES = 5
"""Requests that bring nothing, one after another, before it is given up."""
SECONDS = 60.0
"""Of silence, after which a connection counts as broken."""


@dataclass(frozen=True)
class Fetched:
    """What became of a file.

    Attributes:
        kept: whether it was there already.
        digest: its MD5, or SHA-256 where the checksum was one.
    """

    path: Path
    bytes: int
    kept: bool
    digest: str


class _Broken(Exception):
    """A connection that ended early, or a server that is busy: worth another try."""


def fetch_file(
    url: str, target: Path, checksum: str | None = None, console: Console | None = None, pause: float = 1.0
) -> Fetched:
    """Put the file of a URL at `target`.

    What has come is kept in `target`.part: another try, and another call, go on from there. A part of which the server
    says that it is of another version is begun anew.

    Args:
        checksum: MD5 (32 hex digits) or SHA-256 (64).
        pause: seconds before the second try; twice as long before each further one.

    Raises:
        MissingError: it cannot be had, or not now; no room on the disk.
        DataError: what came, or what is there already, are not the bytes of that checksum.
        UsageError: another process is fetching it.
    """
    console = console or Console(quiet=True)
    part = target.with_name(f"{target.name}.part")
    lock = part.with_name(f".{part.name}.lock")
    with wrap_write_errors(target), locked(lock) as mine:
        if not mine:
            raise UsageError(f"{target}: another process is fetching it; wait for that one")
        if target.exists():
            found = _digest(target, checksum, console)
            if checksum and found != checksum.lower():
                raise DataError(
                    f"{target}: its {_kind(checksum)} is {found}, expected {checksum.lower()}: another file, or a part "
                    "of it, that something else put there. Remove it, and the same command fetches it"
                )
            return Fetched(target, target.stat().st_size, True, found)
        while True:
            at_once = _receive(url, part, console, pause)
            found = _digest(part, checksum, console)
            if not checksum or found == checksum.lower():
                break
            _forget(part)
            if at_once:
                raise DataError(
                    f"{url}: sent other bytes than were published: {_kind(checksum)} {found}, expected "
                    f"{checksum.lower()}. Nothing of it was kept; if it stays so, the publisher has changed the file"
                )
            say(console, f"{target.name}: the parts are of different files; begun anew")
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(part, target)
        _forget(part)
        lock.unlink(missing_ok=True)
        return Fetched(target, target.stat().st_size, False, found)


def _receive(url: str, part: Path, console: Console, pause: float) -> bool:
    """Bring `part` to its whole length; whether it came in one piece."""
    begun, failures, tries = _size(part), 0, 0
    while True:
        before = _size(part)
        tries += 1
        try:
            _request(url, part, console)
            return begun == 0 and tries == 1
        except _Broken as error:
            reason = str(error)
        failures = 0 if _size(part) > before else failures + 1
        if failures >= TRIES:
            raise MissingError(
                f"{url}: {reason}, {TRIES} times one after another. The {_size(part):,} bytes that came are kept; the "
                "same command goes on from there"
            )
        say(console, f"{part.stem}: {reason}; tried again")
        time.sleep(pause * 2**failures if failures else 0)


def _request(url: str, part: Path, console: Console) -> None:
    """One request for what is lacking. _Broken where it ends before the length that the server stated."""
    note = part.with_name(f"{part.name}.json")
    known = _read_note(note) if part.exists() else {}
    have = _size(part) if known.get("url") == url else 0
    headers = {"User-Agent": "limbeck", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if known.get("version"):
            headers["If-Range"] = str(known["version"])
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and error.headers.get("Content-Range", "").endswith(f"*/{have}"):
                return  # all of it is here
            _refuse(url, error.code, part)
    except (OSError, HTTPException) as error:
        raise _Broken(f"no connection ({getattr(error, 'reason', None) or error})") from None
    with response:
        begins = _first_byte(response) if response.status == 206 else 0
        if begins not in (0, have):
            _forget(part)
            raise _Broken(f"the server sent bytes from {begins:,} on instead of {have:,}")
        length = response.headers.get("Content-Length", "")
        total = begins + int(length) if length.isascii() and length.isdigit() else None
        free = shutil.disk_usage(part.parent).free
        if total is not None and total - begins > free:
            raise MissingError(
                f"{part.parent}: has room for {free:,} bytes, and {part.stem} needs {total - begins:,} more; make room "
                "or let the study look for it elsewhere, and run the same command again"
            )
        version = response.headers.get("ETag") or response.headers.get("Last-Modified")
        # A weak ETag says nothing of single bytes.
        write_json(note, {"url": url, "version": None if (version or "").startswith("W/") else version})
        with part.open("r+b" if part.exists() else "wb") as file:
            file.truncate(begins)
            file.seek(begins)
            for chunk in with_status(_chunks(response), _how_far(part, begins, total), console, f"{part.stem}"):
                file.write(chunk)
        if total is not None and _size(part) < total:
            raise _Broken(f"the connection ended after {_size(part):,} of {total:,} bytes")


def _chunks(response: Any) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, HTTPException) as error:
            raise _Broken(f"the connection broke off ({type(error).__name__})") from None
        if not chunk:
            return
        yield chunk


def _how_far(part: Path, begins: int, total: int | None) -> Any:
    def text(number: int, _: bytes) -> str:
        have = begins + number * CHUNK
        share = f" of {total / 1e6:,.0f} MB ({min(have / total, 1):.0%})" if total else " MB"
        return f"{part.stem}: {have / 1e6:,.0f}{share}"

    return text


def _refuse(url: str, code: int, part: Path) -> NoReturn:
    if code == 416:
        _forget(part)
        raise _Broken("the server has fewer bytes than came before")
    if code == 429 or code >= 500:
        raise _Broken(f"the server is busy or broken ({code})")
    what = {
        401: "asks for a login; fetch it with a browser, and put it where the study looks",
        403: "refuses; accept its terms there, or fetch it with a browser, and put it where the study looks",
        404: "has no such file (any more); look where it is published now",
        410: "has no such file any more; look where it is published now",
    }.get(code, "cannot be had from here")
    raise MissingError(f"{url}: the server {what} (HTTP {code})")


def _first_byte(response: Any) -> int:
    """Of a partial answer, from `Content-Range: bytes 600-999/1000`; −1 where it does not say."""
    unit, _, values = response.headers.get("Content-Range", "").partition(" ")
    first = values.partition("-")[0]
    return int(first) if unit == "bytes" and first.isascii() and first.isdigit() else -1


def _digest(path: Path, checksum: str | None, console: Console) -> str:
    digest = hashlib.new(_kind(checksum))
    size = path.stat().st_size

    def text(number: int, _: bytes) -> str:
        return f"{path.name.removesuffix('.part')}: verified {min(number * CHUNK / max(size, 1), 1):.0%}"

    with path.open("rb") as file:
        for chunk in with_status(iter(lambda: file.read(CHUNK), b""), text, console, f"{path.name}: verifying"):
            digest.update(chunk)
    return digest.hexdigest()


def _kind(checksum: str | None) -> str:
    return "sha256" if checksum and len(checksum) == 64 else "md5"


def _read_note(note: Path) -> dict[str, Any]:
    # Whatever cannot be read says nothing of the part beside it, which is begun anew.
    with suppress(DataError, MissingError):
        found: dict[str, Any] = read_json(note, {"url?": str, "version?": (str, None)}, "")
        return found
    return {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(part: Path) -> None:
    for path in (part, part.with_name(f"{part.name}.json")):
        path.unlink(missing_ok=True)
