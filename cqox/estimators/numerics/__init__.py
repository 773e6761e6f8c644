"""Matrix algebra on blocks of rows, likelihoods, searches and temporary storage; nothing here knows a design."""
