"""The doors: LSP, command line, and the composition root. The only package that knows protocols, argv and the environment."""

import os

from lsp_server.waiting import wait_politely

wait_politely(os.environ)  # here, because nothing of fimble loads torch before this package
