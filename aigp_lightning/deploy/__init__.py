"""What is deployed: exported models."""
