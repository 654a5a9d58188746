"""The contract: what the API takes and gives, and nothing of how it is done."""
