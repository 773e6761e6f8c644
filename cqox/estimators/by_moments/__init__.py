"""Estimates from sums over the rows, for tables that stay where they are.

The formulas are those of the other families; what they need of single rows is asked for as sums of expressions. A
sample of the rows, in memory, conditions the algebra, starts the iterations and decides what applies.
"""
