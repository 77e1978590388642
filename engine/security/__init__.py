"""What keeps others out and content secret: TLS contexts now; secrets, accounts, encryption at rest
and masking as they come."""
