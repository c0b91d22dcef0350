"""Whether a study's models can be had, asked before anything runs."""

from collections.abc import Iterator

from limbeck.core.errors import MissingError
from limbeck.models.sources import WEIGHTS, ModelSource
from limbeck.study.config.study import Study


def require_models(study: Study) -> None:
    """Raise MissingError, naming every model of the Hub that is neither in the cache nor to be had, and the remedy."""
    models = [backbone.model for backbone in study.config.backbones.values()]
    models += [model for teacher in study.config.teachers.values() for model in teacher.models]
    models += [stage.encoder.model for stage in study.config.first_stages.values() if stage.encoder]
    hub = dict.fromkeys(model for model in models if study.sources.model(model).kind == "hub")
    problems = [text for model in hub for text in _problems(study.sources.model(model))]
    if problems:
        count = f"{len(problems)} models" if len(problems) > 1 else "1 model"
        raise MissingError("\n".join([f"{study.path}: {count} cannot be had; nothing was run", *problems]))


def _problems(source: ModelSource) -> Iterator[str]:
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    model, revision = source.path, source.revision
    try:
        if any(isinstance(try_to_load_from_cache(model, file, revision=revision), str) for file in WEIGHTS):
            return
        HfApi().auth_check(model)
    except GatedRepoError:
        yield (
            f"{model}: is gated: accept its terms on https://huggingface.co/{model}, then log in with `hf auth login`"
        )
    except (RepositoryNotFoundError, HFValidationError):
        yield (
            f"{model}: no folder of that name, and the Hub has no such public model; look for a spelling mistake, or "
            "log in if it is a private one: hf auth login"
        )
    # Offline mode, no network, no answer in time: the classes depend on the HTTP library in use.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield (
            f"{model}: is not in the cache, and the Hub cannot be asked ({reason}); fetch it where there is a network, "
            f"`hf download {model}{f' --revision {revision}' if revision else ''}`, and set HF_HOME to that folder"
        )
