"""How AWS is read: bounded, counted calls, and the languages CloudWatch speaks."""
