"""`python -m alidade.cli` is the `alidade` command."""

from alidade.cli.main import main

main()
