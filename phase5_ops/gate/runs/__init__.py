"""The record of readiness runs in the state table, what they leave behind, and what is removed after them."""
