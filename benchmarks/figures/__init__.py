"""The figures, a module each or a few that belong together; `FIGURES` of every module here is measured."""
