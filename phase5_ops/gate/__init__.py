"""The gate: who may go to production, decided from evidence, signatures and waivers."""
