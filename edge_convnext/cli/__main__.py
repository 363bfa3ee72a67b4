"""`python -m edge_convnext.cli`, where the command is not on the path."""

from edge_convnext.cli import main

if __name__ == "__main__":
    main()
