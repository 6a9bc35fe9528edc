"""Whether a suggestion will be wanted, judged while it is written."""
