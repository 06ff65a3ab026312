"""How the service is seen from outside: its log."""
