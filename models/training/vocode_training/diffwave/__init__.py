"""Published DiffWave checkpoints (Kong et al. 2021, arXiv:2009.09761), read, turned into graphs and measured."""
