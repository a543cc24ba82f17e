"""The drill of row 4.3: the gate's decision on made-up cases that must stay closed."""
