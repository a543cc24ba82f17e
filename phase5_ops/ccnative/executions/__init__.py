"""What the platform keeps of executions: their start and end in the ledger, their attempts and outcomes. Pure."""
