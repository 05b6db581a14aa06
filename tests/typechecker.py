"""How the tests check types at run time: shapes by jaxtyping, and an int is a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
