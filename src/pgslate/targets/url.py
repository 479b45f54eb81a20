"""A DSN as the URL that PostgreSQL clients in every language understand.

Source: PostgreSQL manual, libpq, Connection URIs.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict


def url_with(dsn: str, **settings: str) -> str:
    """The DSN, a URL or a conninfo string, as a URL; with some settings replaced.

    >>> url_with("host=db.example port=5433 user=me password='a b' sslmode=require", dbname="other")
    'postgresql://me:a%20b@db.example:5433/other?sslmode=require'
    >>> url_with("postgresql://one,two/app")
    'postgresql://one,two/app'
    >>> url_with("host=/run/postgresql dbname=app")
    'postgresql:///app?host=%2Frun%2Fpostgresql'
    """
    parameters = {name: str(value) for name, value in {**conninfo_to_dict(dsn), **settings}.items()}
    user, password = parameters.pop("user", ""), parameters.pop("password", "")
    host, port, dbname = parameters.pop("host", ""), parameters.pop("port", ""), parameters.pop("dbname", "")
    if any(one.startswith(("/", "@")) for one in host.split(",")):  # a socket's folder is no host of a URL
        parameters |= {"host": host, **({"port": port} if port else {})}
        host = port = ""
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    query = urlencode(parameters, quote_via=lambda text, *_: quote(text, safe=""))
    return (
        "postgresql://"
        + (f"{login}@" if login else "")
        + _places(host, port)
        + f"/{quote(dbname, safe='')}"
        + (f"?{query}" if query else "")
    )


def _places(host: str, port: str) -> str:
    """The hosts with their ports.

    >>> _places("a,b", "5432,5433"), _places("::1", "5432")
    ('a:5432,b:5433', '[::1]:5432')
    """
    hosts, ports = host.split(","), port.split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    shown = (f"[{one}]" if ":" in one else one for one in hosts)
    return ",".join(one + (f":{at}" if at else "") for one, at in zip(shown, ports, strict=True))
