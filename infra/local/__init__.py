"""The whole of Mailroom on one machine: what `poe up` starts, and what the end-to-end tests use."""
