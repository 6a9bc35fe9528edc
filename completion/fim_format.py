"""Fill-in-the-middle formats: one table, found by the sentinels that a tokenizer has.

Sources: the model families' papers and tokenizers; see docs/models.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class FimOrder(StrEnum):
    """Where the suffix stands: prefix-suffix-middle or suffix-prefix-middle."""

    PSM = "psm"
    SPM = "spm"


class Layout(StrEnum):
    """Where the text around the cursor stands in the prompt."""

    LINE = "line"  # the cursor's line behind the middle sentinel (llama.vim)
    EFIM = "efim"  # the last lines there, for as long as they are few: prefix and suffix stay
    PSM = "psm"  # all text before the cursor in front of the suffix
    SPM = "spm"  # the suffix first; for models trained on it


class RepositoryStyle(StrEnum):
    """How other files are shown in front of the current one."""

    COMMENT = "comment"  # plain text, a comment line with the path
    FILE_SEPARATOR = "file_separator"  # separator, path, newline, code
    BARE_SEPARATOR = "bare_separator"  # path and code behind a separator without a newline


@dataclass(frozen=True, slots=True)
class FimFormat:
    """Sentinels of one family.

    ``middle`` is empty where the last of prefix and suffix is followed by the middle directly.
    ``stops`` end a generation besides the model's own end ids. ``path_inside_prefix`` puts the
    current file's path behind the prefix sentinel (StarCoder2's training format).
    """

    name: str
    prefix: str
    suffix: str
    middle: str
    order: FimOrder
    repository: RepositoryStyle
    repo_name: str = ""
    file_separator: str = ""
    stops: tuple[str, ...] = ()
    path_inside_prefix: bool = False

    @property
    def sentinels(self) -> tuple[str, ...]:
        """The special tokens this format writes."""
        return tuple(
            token
            for token in (
                self.prefix, self.suffix, self.middle, self.repo_name, self.file_separator,
            )
            if token
        )  # fmt: skip


FORMATS: tuple[FimFormat, ...] = (
    FimFormat(
        name="qwen2.5-coder",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        middle="<|fim_middle|>",
        order=FimOrder.PSM,
        repository=RepositoryStyle.FILE_SEPARATOR,
        repo_name="<|repo_name|>",
        file_separator="<|file_sep|>",
        stops=("<|endoftext|>", "<|im_end|>", "<|fim_pad|>", "<|cursor|>"),
    ),
    FimFormat(
        name="codegemma",
        prefix="<|fim_prefix|>",
        suffix="<|fim_suffix|>",
        middle="<|fim_middle|>",
        order=FimOrder.PSM,
        repository=RepositoryStyle.FILE_SEPARATOR,
        file_separator="<|file_separator|>",
        stops=("<eos>",),
    ),
    FimFormat(
        name="starcoder2",
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        order=FimOrder.PSM,
        repository=RepositoryStyle.BARE_SEPARATOR,
        repo_name="<repo_name>",
        file_separator="<file_sep>",
        stops=("<|endoftext|>", "<fim_pad>"),
        path_inside_prefix=True,
    ),
    FimFormat(
        name="granite-code",
        prefix="<fim_prefix>",
        suffix="<fim_suffix>",
        middle="<fim_middle>",
        order=FimOrder.PSM,
        repository=RepositoryStyle.COMMENT,
        stops=("<|endoftext|>", "<fim_pad>"),
    ),
    FimFormat(
        name="deepseek-coder",
        prefix="<｜fim▁begin｜>",
        suffix="<｜fim▁hole｜>",
        middle="<｜fim▁end｜>",
        order=FimOrder.PSM,
        repository=RepositoryStyle.COMMENT,
        stops=("<｜end▁of▁sentence｜>", "<|EOT|>"),
    ),
    FimFormat(
        name="codellama",
        prefix="▁<PRE>",
        suffix="▁<SUF>",
        middle="▁<MID>",
        order=FimOrder.PSM,
        repository=RepositoryStyle.COMMENT,
        stops=("▁<EOT>", "</s>"),
    ),
    FimFormat(
        name="codestral",
        prefix="[PREFIX]",
        suffix="[SUFFIX]",
        middle="",
        order=FimOrder.SPM,
        repository=RepositoryStyle.COMMENT,
        stops=("</s>",),
    ),
    FimFormat(
        name="seed-coder",
        prefix="<[fim-prefix]>",
        suffix="<[fim-suffix]>",
        middle="<[fim-middle]>",
        order=FimOrder.SPM,
        repository=RepositoryStyle.COMMENT,
        stops=("<[end▁of▁sentence]>",),
    ),
    FimFormat(
        name="codegeex4",
        prefix="<|code_prefix|>",
        suffix="<|code_suffix|>",
        middle="<|code_middle|>",
        order=FimOrder.SPM,
        repository=RepositoryStyle.COMMENT,
        stops=("<|endoftext|>", "<|user|>"),
    ),
)


def detect_format(special_id: Callable[[str], int | None]) -> FimFormat | None:
    """Return the first format whose sentinels a tokenizer has, or None if it was not trained on FIM.

    Args:
        special_id: Looks a special token up, ``Tokenizer.special_id``.
    """
    for candidate in FORMATS:
        if all(special_id(token) is not None for token in candidate.sentinels):
            return candidate
    return None
