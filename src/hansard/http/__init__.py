"""The service over HTTP: routes, their JSON, and how an error becomes an answer."""
