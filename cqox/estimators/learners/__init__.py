"""Double machine learning, meta-learners and the causal forest, with tests of effect heterogeneity."""
