"""The MCP server: analyses of local files for assistants, over standard input and output."""
