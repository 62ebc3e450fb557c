"""`python -m anchor_cli`: `anchor`, where the script is not on the path."""

from anchor_cli.main import main

if __name__ == "__main__":
    main()
