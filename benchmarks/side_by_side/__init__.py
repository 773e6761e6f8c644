"""Five tasks of data scientists, written with CQOx and with the library that they would otherwise use."""
