"""What a running turn says, and everybody who reads it."""
