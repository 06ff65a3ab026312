"""What goes over the wire as JSON, apart from the domain, so that either can change without the other.

Requests refuse fields they don't know by name: a feature that is not there must not seem to have been used.
"""
