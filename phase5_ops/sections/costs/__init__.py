"""Checklist section 5: autonomy budgets and cost per tenant."""
