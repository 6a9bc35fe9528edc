"""The subcommands of ``fimble``, one module each: ``register`` adds its flags, ``run`` does it."""
