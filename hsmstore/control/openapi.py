"""The OpenAPI document of the management API, made from its routes."""

import inspect
import re
from typing import Any

import msgspec

from hsmstore import __version__
from hsmstore.control.routes import PREFIX, ROUTES, Route


def document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    shapes = {shape for route in ROUTES for shape in (route.request, route.response)}
    ordered = sorted(shapes, key=lambda shape: shape.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hsmstore management API",
            "version": __version__,
            "description": "What stands behind the key stores: clusters, their HSMs and users.",
        },
        "paths": paths,
        "components": {"schemas": {**schemas, "Error": _ERROR}},
    }


_ERROR = {
    "type": "object",
    "description": "Every refusal, in CloudHSM's form.",
    "required": ["__type"],
    "properties": {"__type": {"type": "string"}, "Message": {"type": "string"}},
}


def _operation(route: Route) -> dict[str, Any]:
    in_path = re.findall(r"{(\w+)}", route.path)
    operation: dict[str, Any] = {
        "operationId": route.serve.__name__,
        "summary": (inspect.getdoc(route.serve) or "").partition("\n")[0],
        "parameters": [_parameter(name, "path") for name in in_path],
        "responses": {
            "200": _content("What was asked for.", route.response.__name__),
            "default": _content("A refusal.", "Error"),
        },
    }
    others = [name for name in route.request.__struct_encode_fields__ if name not in in_path]
    if route.method == "GET":
        operation["parameters"] += [_parameter(name, "query") for name in others]
    elif others:
        operation["requestBody"] = _content("The members that are not in the path.", route.request.__name__)
    return operation


def _parameter(name: str, place: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}


def _content(description: str, schema: str) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}
