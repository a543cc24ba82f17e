"""What people approve: sign-offs, waivers, rollbacks and break-glass, and what they are shown before."""
