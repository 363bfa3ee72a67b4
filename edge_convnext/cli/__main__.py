"""`python -m edge_convnext.cli`, for use if the command is not on the path."""

from edge_convnext.cli import main

if __name__ == "__main__":
    main()
