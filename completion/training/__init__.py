"""Training of small networks on what one model says of installed, permissively licensed code."""
