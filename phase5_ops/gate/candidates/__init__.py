"""Release candidates: their registration, their next step, and who is told of it."""
