"""The function `receive_push`."""
