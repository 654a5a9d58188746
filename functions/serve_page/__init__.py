"""The function `serve_page`."""
