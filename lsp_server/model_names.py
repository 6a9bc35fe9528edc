"""What a model is called wherever its name is shown or noted."""

from __future__ import annotations

from pathlib import Path

from models import registry
from models.errors import UnknownModelError


def public_name(name: str) -> str:
    """Return what people call the model that the setting ``name`` means.

    Of a path it is the last part alone: the folder is nobody's business. A name that means nothing is
    cut in the same way, so that every name has one.
    """
    try:
        reference = registry.resolve(name)
    except UnknownModelError:
        return name.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or name
    match reference:
        case registry.HubId(repo_id):
            return repo_id
        case Path() as path:
            return path.name or name
        case registered:
            return registered.name
