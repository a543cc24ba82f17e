"""What this project is made of: licences, a bill of materials, known vulnerabilities; see docs/licences.md."""
