"""What a file defines and imports, and where the names that it uses come from."""
