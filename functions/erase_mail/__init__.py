"""The function `erase_mail`."""
