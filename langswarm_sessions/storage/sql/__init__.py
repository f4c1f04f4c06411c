"""Storage over SQL: one set of statements, run by a runner that suits the database."""
