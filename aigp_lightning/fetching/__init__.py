"""Downloads of published weights: the one room that opens a connection of its own, for the verb `fetch` alone."""
