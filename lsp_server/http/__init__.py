"""The HTTP door: OpenAI's completions over the same service as every other client."""
