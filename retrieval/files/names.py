"""What a file's name tells: tables of names that are never indexed, and of formats that hold records."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

from retrieval.files.exclusion import Exclusion


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(names.split())


# Folders that nothing can include: the history of repositories, and keys.
CLOSED_FOLDERS = frozenset(
    {".git", ".hg", ".svn", ".jj", ".bzr", "CVS", "_darcs", ".ssh", ".gnupg", ".aws", ".kube"}
)
# Gitignore patterns below every other: a project's own files can include any of these again.
# dist, build, target and vendor are not here, for in some projects they are sources.
DEPENDENCY_FOLDERS = (
    "node_modules/",
    "bower_components/",
    "jspm_packages/",
    ".pnpm-store/",
    ".yarn/",
    ".venv/",
    "site-packages/",
    "__pycache__/",
    "__pypackages__/",
    ".eggs/",
    "*.egg-info/",
    ".tox/",
    ".nox/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".ipynb_checkpoints/",
    ".gradle/",
    ".terraform/",
    ".next/",
    ".nuxt/",
    ".svelte-kit/",
    ".parcel-cache/",
    ".turbo/",
    ".cache/",
    ".idea/",
    "Pods/",
    "DerivedData/",
)
# A folder that holds one of these is a virtual environment or a cache (bford.info/cachedir).
FOLDER_MARKERS = frozenset({"pyvenv.cfg", "CACHEDIR.TAG"})

_SECRET_FILES = (
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    "*.pem",
    "*.key",
    "*.p8",
    "*.p12",
    "*.pfx",
    "*.pkcs12",
    "*.jks",
    "*.keystore",
    "*.ppk",
    "*.kdbx",
    "*.asc",
    "*.gpg",
    "*.ovpn",
    "*.tfvars",
    "*.tfstate",
    "*.tfstate.*",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "credentials",
    "credentials.*",
    ".credentials*",
    ".git-credentials",
    "client_secret*.json",
    "service[-_]account*.json",
    "secrets",
    "secrets.*",
    ".secrets*",
    "secret.*",
    ".netrc",
    "_netrc",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".htpasswd",
    ".pgpass",
    ".my.cnf",
    ".dockercfg",
    ".dockerconfigjson",
    "kubeconfig",
    "*.kubeconfig",
    ".*_history",
)
# Templates of the above are written to be read, and code is called secrets.py without holding any:
# what it holds in literals is redacted.
_CODE_SUFFIXES = "c cc cpp cs go h hpp java js jsx kt md mjs py pyi rb rs rst swift ts tsx"
_NO_SECRET_FILES = (
    *(f"*.{end}" for end in ("example", "sample", "template", "dist")),
    *(
        f"{stem}.{end}"
        for stem in ("secret", "secrets", "credentials")
        for end in _suffixes(_CODE_SUFFIXES)
    ),
)
_GENERATED_FILES = (
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "bun.lockb",
    "packages.lock.json",
    "*.lock",
    "go.sum",
    "*.min.js",
    "*.min.mjs",
    "*.min.css",
    "*.bundle.js",
    "*.map",
    "*.snap",
    "*_pb2.py",
    "*_pb2.pyi",
    "*_pb2_grpc.py",
    "*.pb.go",
    "*.pb.h",
    "*.pb.cc",
    "*.designer.cs",
    "*.g.cs",
    "*.g.dart",
    "*.freezed.dart",
)
_BINARY_SUFFIXES = (
    "7z a aac apk avi avif bin blend bmp br bz2 ckpt class dat db dex dll dmg doc docx dylib ear eot "
    "exe feather flac gguf gif gz h5 hdf5 heic ico iso jar jpeg jpg lib lz4 mkv mo mov mp3 mp4 npy "
    "npz o obj odt ogg onnx otf parquet pdf pickle pkl png ppt pptx psd pt pth pyc pyd pyo rar "
    "rpm safetensors so sqlite sqlite3 tar tflite tgz tif tiff ttf wasm wav webm webp whl woff "
    "woff2 xls xlsx xz zip zst"
)
_RECORD_SUFFIXES = (
    "csv dump geojson har html ipynb json json5 jsonl log ndjson plist po pot properties sql svg "
    "toml tsv txt vcf xml xsd yaml yml"
)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{translate(pattern)})" for pattern in patterns))


_SECRET_NAME, _NO_SECRET_NAME = _any_of(_SECRET_FILES), _any_of(_NO_SECRET_FILES)
_GENERATED_NAME = _any_of(_GENERATED_FILES)
_BINARY, _RECORDS = _suffixes(_BINARY_SUFFIXES), _suffixes(_RECORD_SUFFIXES)


def exclusion_by_name(name: str) -> Exclusion | None:
    """Return why no file called ``name`` is indexed, or ``None`` if its name speaks for it."""
    lowered = name.lower()
    if _SECRET_NAME.match(lowered) and not _NO_SECRET_NAME.match(lowered):
        return Exclusion.SECRET_FILE
    if _suffix(lowered) in _BINARY:
        return Exclusion.BINARY
    if _GENERATED_NAME.match(lowered):
        return Exclusion.GENERATED
    return None


def holds_records(name: str) -> bool:
    """Whether a file called ``name`` is of a format that holds records or prose rather than code."""
    return _suffix(name.lower()) in _RECORDS


def _suffix(name: str) -> str:
    _, dot, suffix = name.rpartition(".")
    return suffix if dot else ""
