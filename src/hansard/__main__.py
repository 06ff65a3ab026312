"""`hansard` and `python -m hansard`."""

from hansard.cli import main

if __name__ == "__main__":
    main()
