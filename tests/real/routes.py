"""Prints the routes of the Airflow whose Python runs this, one `METHOD<TAB>PATH` a line: those of
Flask (Airflow 2, and the FAB provider of Airflow 3) and of FastAPI (Airflow 3)."""


def of_flask(app, below=""):
    for rule in app.url_map.iter_rules():
        for method in rule.methods:
            yield method, below + str(rule)


def of_starlette(app, below=""):
    for route in app.routes:
        path = below + getattr(route, "path", "")
        inner = getattr(route, "app", None)
        if type(route).__name__ != "Mount":
            for method in getattr(route, "methods", None) or ["GET"]:
                yield method, path
        elif hasattr(inner, "routes"):
            yield from of_starlette(inner, path)
        elif type(inner).__name__ == "WSGIMiddleware":
            flask = getattr(inner, "app", None) or inner.responder.app
            yield from of_flask(flask, path)
        else:
            yield "GET", path + "/{file:path}"


try:
    from airflow.www.app import cached_app
except ImportError:
    from airflow.api_fastapi.app import create_app

    routes = of_starlette(create_app())
else:
    routes = of_flask(cached_app())
for method, path in sorted(set(routes)):
    print(method, path, sep="\t")
