"""`python -m limbeck`, and `torchrun … -m limbeck`."""

from limbeck.cli import main

main()
