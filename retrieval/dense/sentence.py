"""Any model of the sentence-transformers library, for users who have installed it."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from retrieval.dense.embedder import Vectors, encodable, normalised
from retrieval.dense.errors import EmbedderUnavailableError

_PACKAGE = "sentence_transformers"


class SentenceEmbedder:
    """An encoder by its name on the hub or its folder; loaded when it is first needed.

    The library brings torch along, which the rest of retrieval has to run without, and which
    takes seconds to import: so it is looked for by name, and only here. The encoder computes with
    the process's torch threads and takes 10 to 100 ms a text on a CPU, so it is for idle times.
    """

    is_fast = False

    def __init__(
        self,
        name_or_folder: str,
        num_layers: int | None = None,
        *,
        device: str = "cpu",
        may_download: bool = False,
    ) -> None:
        """Name a model without loading it.

        Args:
            name_or_folder: As the library takes it.
            num_layers: Compute only that many of its first transformer layers; all with None.
                Encoders of code often embed as well with half of them.
            device: As torch names it.
            may_download: Whether a model that is not on this machine is fetched.
        """
        if num_layers is not None and num_layers < 1:
            raise ValueError(f"an encoder needs a layer at least, not {num_layers}")
        self._name_or_folder = name_or_folder
        self._num_layers = num_layers
        self._device = device
        self._may_download = may_download
        self._loading = threading.Lock()

    @property
    def name(self) -> str:
        """The model's name, and the number of layers if it was cut."""
        layers = "" if self._num_layers is None else f":{self._num_layers}"
        return f"{self._name_or_folder}{layers}"

    @property
    def dimension(self) -> int:
        """How many components a vector has. Loads the model; raises what ``embed`` raises."""
        return self._dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return ``[len(texts), dimension]``, each row of length 1.

        Raises:
            EmbedderUnavailableError: The package or the model is missing, or the model has not so
                many layers.
        """
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        return self._encode(texts)

    @cached_property
    def _dimension(self) -> int:
        return int(self._encode([""]).shape[1])

    def _encode(self, texts: Sequence[str]) -> Vectors:
        with self._loading:
            model = self._model
        encoded = model.encode(
            [encodable(text) for text in texts], convert_to_numpy=True, show_progress_bar=False
        )
        return normalised(np.asarray(encoded, np.float32))

    @cached_property
    def _model(self) -> Any:
        package = _imported()
        try:
            model = self._loaded(package, local_files_only=True)
        except (OSError, ValueError) as error:  # what the library raises for models it cannot find
            if not self._may_download:
                raise EmbedderUnavailableError(
                    f"the embedding model {self._name_or_folder!r} is not on this machine, and "
                    f"downloads are off ({error})"
                ) from error
            model = self._downloaded(package)
        if self._num_layers is not None:
            self._cut(model, self._num_layers)
        return model

    def _downloaded(self, package: Any) -> Any:
        try:
            return self._loaded(package, local_files_only=False)
        except (OSError, ValueError) as error:
            raise EmbedderUnavailableError(
                f"the embedding model {self._name_or_folder!r} cannot be loaded: {error}"
            ) from error

    def _loaded(self, package: Any, *, local_files_only: bool) -> Any:
        return package.SentenceTransformer(
            self._name_or_folder, device=self._device, local_files_only=local_files_only
        )

    def _cut(self, model: Any, num_layers: int) -> None:
        """Drop the layers behind the first ``num_layers``, wherever the encoder keeps them."""
        lists = [
            (owner, name, child)
            for owner in model.modules()
            for name, child in owner.named_children()
            if type(child).__name__ == "ModuleList"
        ]
        owner, name, layers = max(lists, key=lambda found: len(found[2]), default=(None, "", ()))
        if len(layers) < num_layers:
            raise EmbedderUnavailableError(
                f"the embedding model {self._name_or_folder!r} has {len(layers)} layers that can "
                f"be cut, fewer than the {num_layers} asked for"
            )
        setattr(owner, name, layers[:num_layers])


def _imported() -> Any:
    try:
        return importlib.import_module(_PACKAGE)
    except ImportError as error:
        raise EmbedderUnavailableError(
            "embedding models need the package sentence-transformers: "
            f"python -m pip install sentence-transformers ({error})"
        ) from error
