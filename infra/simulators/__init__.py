"""Servers that answer by script, for what a real server does only on its worst day."""
