"""Who may do what: principals, the registry of their keys, and where the registry is stored."""
