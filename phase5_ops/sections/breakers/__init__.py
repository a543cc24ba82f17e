"""Checklist section 2: circuit breaker state and operator action."""
