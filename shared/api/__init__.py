"""The only code that knows HTTP.

Status codes, the shapes of the contract, whose claims say what.
"""
