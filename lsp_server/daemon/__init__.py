"""The one process per user that owns models, and how others find and talk to it."""
