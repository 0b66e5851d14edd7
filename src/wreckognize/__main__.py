"""``python -m wreckognize``."""

from wreckognize.cli import main

if __name__ == "__main__":
    main()
