"""The function `send_message`."""
