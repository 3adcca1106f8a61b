"""`python -m speechcmd`: the same as the `speechcmd` program."""

from speechcmd.cli.main import main

main()
