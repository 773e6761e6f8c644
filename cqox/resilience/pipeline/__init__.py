"""The pipeline around one call: parts, permits, stages, the executor, decoration, blocks, generators and events."""
