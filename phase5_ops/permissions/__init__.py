"""The IAM statements that each part needs, and the policies made of them."""
