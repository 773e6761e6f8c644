"""What answers carry: problems, headers and checksums."""
