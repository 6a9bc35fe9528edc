"""What clients of other servers say, on the same door: llama.cpp's ``/infill``, and Tabby's words."""
