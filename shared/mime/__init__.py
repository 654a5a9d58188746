"""Bytes of strangers in, plain values out: mail as text, people and attachments."""
