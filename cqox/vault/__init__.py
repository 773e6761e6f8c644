"""Client of a vault (OpenBao): secrets, database users, certificates, and keys that never leave it."""
