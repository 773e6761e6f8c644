"""Problems, headers and checksums of responses."""
