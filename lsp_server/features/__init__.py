"""One module for each group of LSP methods; ``register`` adds its handlers to a server."""
