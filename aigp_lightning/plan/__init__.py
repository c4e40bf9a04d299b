"""What a run would draw and hand over, before it starts."""
