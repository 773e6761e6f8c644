"""The page that leads from a file to an answer; its data come from the API alone."""
