"""What became of suggestions: shown, taken, kept; noted on this machine, as numbers and ids."""
