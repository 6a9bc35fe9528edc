"""The files of a workspace: which of them are indexed, what they say, and when they change."""
