"""The function `read_mail`."""
