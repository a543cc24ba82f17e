"""The roles of the platform's functions are bound to the tenant they act for."""
