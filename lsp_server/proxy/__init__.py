"""The process between one editor and the daemon: forwards messages, outlives the daemon."""
