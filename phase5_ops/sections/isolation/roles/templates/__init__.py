"""CloudFormation and SAM templates, as far as IAM goes: text, loops, values, policy documents. Pure.

`roles/template.py` puts them together.
"""
