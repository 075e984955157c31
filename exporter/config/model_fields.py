"""Which fields of a settings model the configuration treats specially: secrets, files, nested models, captures."""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import BaseModel, JsonValue, SecretBytes, SecretStr

from exporter.settings import CaptureReferences, FileReference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.config.problems import Location

_MAPPINGS = (dict, abc.Mapping)
_LISTS = (list, tuple, set, frozenset, abc.Sequence, JsonValue, Any)
_CONTAINERS = (list, tuple, set, frozenset, abc.Sequence, *_MAPPINGS)


@dataclass(frozen=True, slots=True)
class ModelFields:
    """The fields of a model, by YAML key.

    Attributes:
        model_name: Name of the model.
        keys: Every key.
        secrets: Keys whose values or elements are secrets.
        single_secrets: The `secrets` whose value is one text, so that `<key>_file` can replace them.
        files: Keys that name a file.
        captures: Keys whose texts may refer to captures (`CaptureReferences`).
        models: Keys whose values or elements are models.
        model_maps: The `models` whose value maps user-chosen names to models.
        lists: Keys whose values may be lists.
    """

    model_name: str
    keys: frozenset[str]
    secrets: frozenset[str] = frozenset()
    single_secrets: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    captures: frozenset[str] = frozenset()
    models: dict[str, ModelFields] = field(default_factory=dict)
    model_maps: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()

    def at(self, location: Location) -> ModelFields | None:
        """Return the fields of the nested model at a location; None if there is no model there."""
        fields: ModelFields | None = self
        is_name = False
        for step in location:
            if fields is None:
                return None
            if isinstance(step, str) and not is_name:
                is_name = step in fields.model_maps
                fields = fields.models.get(step)
            else:
                is_name = False
        return fields

    def is_secret(self, location: Location) -> bool:
        """Return whether the value at a location is a secret or part of one."""
        return any(
            isinstance(step, str) and (fields := self.at(location[:depth])) is not None and step in fields.secrets
            for depth, step in enumerate(location)
        )

    def holds_secret(self, location: Location) -> bool:
        """Return whether there may be a secret at a location or anywhere below it."""
        below = self.at(location)
        return self.is_secret(location) or (below is not None and below.has_secrets)

    @property
    def has_secrets(self) -> bool:
        """Whether the model or a nested one has a secret."""
        return bool(self.secrets) or any(below.has_secrets for below in self.models.values())

    @property
    def may_capture(self) -> bool:
        """Whether the model or a nested one has a field that may refer to captures."""
        return bool(self.captures) or any(below.may_capture for below in self.models.values())

    def takes_list(self, location: Location) -> bool:
        """Return whether a list is allowed at a location; outside models it always is."""
        if not location or not isinstance(location[-1], str):
            return True
        here = self.at(location[:-1])
        return here is None or location[-1] not in here.keys or location[-1] in here.lists


@lru_cache(maxsize=256)
def fields_of(model: type[BaseModel]) -> ModelFields:
    """Return the fields of a model; cached, because every check of a type needs them."""
    secrets, single_secrets, files, captures = set(), set(), set(), set()
    model_maps, lists = set(), set()
    models: dict[str, ModelFields] = {}
    keys = {info.alias or name: info for name, info in model.model_fields.items()}
    for key, info in keys.items():
        parts = list(_parts(info.annotation))
        if any(part in (SecretStr, SecretBytes) for part in parts):
            secrets.add(key)
            if not any(part in _CONTAINERS for part in parts):
                single_secrets.add(key)
        if any(isinstance(part, FileReference) for part in (*parts, *info.metadata)):
            files.add(key)
        if any(isinstance(part, CaptureReferences) for part in (*parts, *info.metadata)):
            captures.add(key)
        if any(part in _LISTS for part in parts):
            lists.add(key)
        for part in parts:
            if isinstance(part, type) and issubclass(part, BaseModel) and part is not model:
                models[key] = fields_of(part)
                if any(part in _MAPPINGS for part in parts):
                    model_maps.add(key)
    return ModelFields(
        model_name=model.__name__,
        keys=frozenset(keys),
        secrets=frozenset(secrets),
        single_secrets=frozenset(single_secrets),
        files=frozenset(files),
        captures=frozenset(captures),
        models=models,
        model_maps=frozenset(model_maps),
        lists=frozenset(lists),
    )


def _parts(annotation: object) -> Iterator[object]:
    """Yield an annotation and all its parts: origins, arguments, metadata."""
    origin = get_origin(annotation)
    if origin is None:
        yield annotation
        return
    yield origin
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        yield from marks
        yield from _parts(inner)
        return
    for argument in get_args(annotation):
        yield from _parts(argument)
