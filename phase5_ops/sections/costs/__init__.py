"""Section 5: autonomy budgets and cost per tenant."""
