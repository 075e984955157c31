"""Validates Kubernetes manifests against the schemas of their kinds, as strictly as `kubectl apply --validate=strict`.

The schemas are those of the packages cloudcoil-models-kubernetes and cloudcoil-models-prometheus-operator, which are
generated from Kubernetes' OpenAPI description and from the operator's custom resource definitions.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib import import_module
from typing import Any

from jsonschema import Draft202012Validator

Manifest = dict[str, Any]

_MODELS = {
    "v1": "kubernetes.core.v1",
    "apps/v1": "kubernetes.apps.v1",
    "autoscaling/v2": "kubernetes.autoscaling.v2",
    "policy/v1": "kubernetes.policy.v1",
    "monitoring.coreos.com/v1": "prometheus_operator.v1",
    "monitoring.coreos.com/v1alpha1": "prometheus_operator.v1alpha1",
}


def problems(manifest: Manifest) -> list[str]:
    """Return the errors of a manifest with their places; unknown fields are errors.

    Raises:
        KeyError: When there are no schemas for its `apiVersion`.
        AttributeError: When there is none for its `kind`.
    """
    found = _validator(manifest["apiVersion"], manifest["kind"]).iter_errors(manifest)
    return sorted(f"{error.json_path}: {_told(error.context, error.message)}" for error in found)


def _told(context: Any, message: str) -> str:
    """Return the errors inside a field that may be absent, which the schema expresses as two alternatives."""
    inner = [_told(each.context, f"{each.json_path}: {each.message}") for each in context or ()]
    return "; ".join(each for each in inner if not each.endswith("is not of type 'null'")) or message


@cache
def _validator(api_version: str, kind: str) -> Draft202012Validator:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generated models have fields that hide pydantic's own
        model = getattr(import_module(f"cloudcoil.models.{_MODELS[api_version]}"), kind)
    schema = model.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        if "properties" in part:
            part.setdefault("additionalProperties", False)
    return Draft202012Validator(schema)
