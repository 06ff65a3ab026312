"""From the domain to what goes over the wire: explicit, field by field."""
