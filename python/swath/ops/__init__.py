"""The public functions, one module per operator family."""
