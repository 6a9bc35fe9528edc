"""``python -I -m lsp_server``: the command line, safe from packages of the working directory."""

from __future__ import annotations

import sys

from lsp_server.cli import main

if __name__ == "__main__":
    sys.exit(main())
