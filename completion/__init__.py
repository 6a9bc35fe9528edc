"""From a completion request to a suggestion, or to the reason for none. Knows no protocol."""
