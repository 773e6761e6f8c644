"""Standard errors, degrees of freedom and simultaneous bands, and the estimates that report them."""
