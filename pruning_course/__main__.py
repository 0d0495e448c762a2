"""`python -m pruning_course COMMAND`: the commands of `pruning_course.experiments.commands`."""

import sys

from pruning_course.extras import extra

try:
    with extra("course"):
        from pruning_course.experiments.commands import app
except ImportError as error:
    sys.exit(str(error))

if __name__ == "__main__":
    app(prog_name="python -m pruning_course")
