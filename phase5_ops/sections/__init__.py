"""The sections of the checklist: what each gathers and how it judges. A row is one room."""
