"""The versions of the analytics database's tables, one file each."""
