"""Named states of the sandbox platform: one module a section, `registry` for what a scenario is, `catalogue` for all of them."""
