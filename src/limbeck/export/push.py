"""Publishing a model's folder on the Hub."""

import os
from dataclasses import dataclass
from pathlib import Path

from limbeck.core.errors import LimbeckError, MissingError, UsageError

TOKEN = "HF_TOKEN"
NEEDED = ("config.json", "README.md")


@dataclass(frozen=True)
class Upload:
    """What would be published: `files` is path in the repository → bytes."""

    folder: Path
    repo: str
    private: bool
    files: dict[str, int]

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(self.files.values())


def plan_upload(folder: Path, repo: str, private: bool) -> Upload:
    """What publishing an exported folder would upload: all its files but hidden ones. Nothing is sent.

    Raises MissingError for a folder that `limbeck export` did not write, UsageError for an impossible repository.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # not in its stubs

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageError(f"{repo}: no repository's name: {error}") from None
    if "/" not in repo:
        raise UsageError(f"{repo}: whose repository? Expected OWNER/NAME")
    absent = [name for name in NEEDED if not (folder / name).is_file()]
    if absent or not list(folder.glob("model*.safetensors")):
        raise MissingError(
            f"{folder}: lacks {' and '.join(absent) or 'model.safetensors'}; expected the --output of `limbeck export`"
        )
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    shown = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    return Upload(folder, repo, private, {path.as_posix(): (folder / path).stat().st_size for path in shown})


def push(upload: Upload) -> str:
    """Make the repository where there is none and upload all files in one commit; the commit's address.

    The token is taken from the environment's HF_TOKEN alone, and the Hub's address from HF_ENDPOINT where that is set.
    A repository that is there keeps its visibility.

    Raises:
        MissingError: no token, or the Hub cannot be reached or refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    token = os.environ.get(TOKEN)
    if not token:
        raise MissingError(f"no token: set {TOKEN} to one that may write to {upload.repo}")
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token)
    operations = [CommitOperationAdd(path, upload.folder / path) for path in upload.files]
    try:
        api.create_repo(upload.repo, private=upload.private, exist_ok=True)
        done = api.create_commit(upload.repo, operations, commit_message="Model exported by limbeck")
    except LimbeckError:
        raise
    except Exception as error:
        # HTTP libraries, the Hub's own errors and the uploading library's (Rust) have no common class.
        text = str(error).strip().replace(token, "…") or type(error).__name__
        raise MissingError(f"{upload.repo}: not published: {' '.join(text.split())}") from None
    return done.commit_url
