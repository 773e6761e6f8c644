"""Linear algebra on blocks of rows, likelihoods, optimisers, neighbour search and temporary storage; no designs."""
