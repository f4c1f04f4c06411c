"""The provider phase of a turn: what is sent, what came back, and what happens when neither works."""
