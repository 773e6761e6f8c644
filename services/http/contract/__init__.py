"""The HTTP contract as a table: operations, the OpenAPI document and the models that health and policies use."""
