"""What mail looks like from inside: bytes of strangers in, plain values out; never an exception of its own."""
