"""The decision of the gate from plain facts. Pure."""
