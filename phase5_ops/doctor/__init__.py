"""`phase5 doctor`: what of an installation is not as it must be, part by part, with the remedy of each. Changes nothing."""
