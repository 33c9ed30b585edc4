"""The network in torch: attention, LeWin blocks, and the U that they form."""
