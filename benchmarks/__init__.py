"""Measurements behind every figure that fimble states; run from the repository root."""

import os

from lsp_server.waiting import wait_politely

wait_politely(os.environ)  # as fimble itself does
