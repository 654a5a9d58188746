"""Small programs that show how others use what Mailroom offers; each stands alone."""
