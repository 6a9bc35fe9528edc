"""The doors: LSP, command line, and the composition root. The only package that knows protocols, argv and the environment."""
