"""Sending requests to the Control Center as the dedicated test tenants, safely. Judges nothing, belongs to no section."""
