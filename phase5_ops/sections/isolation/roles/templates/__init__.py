"""CloudFormation and SAM templates, as far as IAM goes: text, loops, values, policy documents. Pure.

`iam_template` puts them together.
"""
