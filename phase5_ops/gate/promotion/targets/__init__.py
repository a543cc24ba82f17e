"""Where a promotion takes effect: one module a kind of target, each with `publish(reader, policy, order) -> Published`."""
