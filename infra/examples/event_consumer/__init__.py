"""A program that listens to the event bus: to be copied, and changed."""
