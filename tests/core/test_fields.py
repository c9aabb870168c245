"""JSON columns: what goes in comes out, in the database, in dumps, in migrations and in the admin's forms."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django import forms
from django.core import serializers
from django.core.exceptions import FieldError, ValidationError
from django.db import connection, connections, models
from django.db.migrations.writer import MigrationWriter
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from agents_app.models import Agent
from taskmaster.core.fields import SEALED, EncryptedJsonField, JsonField, JsonFormField
from taskmaster.core.secret_box import SecretUnreadable
from taskmaster.orgs.models import ApiToken
from tests.conftest import Person

from .databases import create_table, database

VALUES = [
    {"z": 1, "a": {"y": [1.0, -2.5e-7, 0.1, 1e22], "b": None}},
    {},
    [],
    "",
    "text é \U0001f600 \x00 sealed",
    0,
    False,
    2**53 - 1,
    12345678901234567,
]


class Note(models.Model):
    """One column of each kind."""

    plain = JsonField(null=True)
    config = EncryptedJsonField(default=dict, blank=True)

    class Meta:
        app_label = "core_tests"

    def __str__(self) -> str:
        return f"note {self.pk}"


class NoteForm(forms.ModelForm):  # type: ignore[type-arg]
    """As the admin makes them."""

    class Meta:
        model = Note
        fields = ["plain", "config"]


@pytest.fixture
def notes(tmp_path: Path, own_databases: None) -> Iterator[Any]:
    with database(tmp_path / "notes.sqlite3") as connection:
        create_table(connection, Note)
        yield Note._default_manager.using("fair")


def stored(column: str) -> Any:
    with connections["fair"].cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM core_tests_note")
        return cursor.fetchone()[0]


def columns(notes: Any) -> list[tuple[Any, Any]]:
    """Every note's columns, the sealed one opened."""
    return [(plain, config.open()) for plain, config in notes.values_list("plain", "config")]


@pytest.mark.django_db
def test_the_configured_database_keeps_the_order_of_keys_and_the_spelling_of_numbers(alice: Person) -> None:
    given = '{"z":1,"a":{"y":[1.0,10.50,1e22,-0.0,9007199254740991],"b":null},"é":"\\u0000"}'
    scopes = orjson.loads(given)
    token = ApiToken.objects.get(org=alice.org)
    token.scopes = scopes
    token.save()
    assert orjson.dumps(ApiToken.objects.get(pk=token.pk).scopes) == orjson.dumps(scopes)
    assert ApiToken.objects.filter(scopes=scopes, scopes__isnull=False).count() == 1
    assert not ApiToken.objects.filter(scopes__isnull=True).exists()


@pytest.mark.django_db
def test_the_configured_database_holds_no_plain_secret(alice: Person) -> None:
    agent = Agent.objects.create(
        org=alice.org, name="secretive", type="custom", backend="echo", config={"apiKey": "hunter2"}
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM agents_app_agent WHERE id = %s", [agent.pk])
        assert "hunter2" not in repr(cursor.fetchone())
    agent.refresh_from_db()
    assert agent.config == {"apiKey": "hunter2"}


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was(notes: Any, value: Any) -> None:
    note = notes.create(plain=value, config=value)
    note.refresh_from_db()
    assert (orjson.dumps(note.plain), orjson.dumps(note.config)) == (orjson.dumps(value), orjson.dumps(value))
    assert stored("plain") == orjson.dumps(value).decode()


def test_none_is_null(notes: Any) -> None:
    assert notes.create(plain=None).plain is None
    assert stored("plain") is None
    assert notes.filter(plain=None, plain__isnull=True, config__isnull=False).get().plain is None


def test_what_is_encrypted_is_not_in_the_database(notes: Any) -> None:
    notes.create(config={"api_key": "hunter2"})
    assert stored("config").startswith("gAAAA")
    assert "hunter2" not in stored("config")


def test_updates_and_lists_of_values_speak_json(notes: Any) -> None:
    note = notes.create(plain={"a": 1})
    notes.update(plain={"b": 2}, config={"c": 3})
    assert columns(notes) == [({"b": 2}, {"c": 3})]
    assert notes.filter(plain={"b": 2}).exists()
    assert not notes.filter(plain={"a": 1}).exists()
    note.plain, note.config = [1], [2]
    notes.bulk_update([note], ["plain", "config"])
    assert columns(notes) == [([1], [2])]
    notes.update(plain=models.F("plain"))
    assert notes.get().plain == [1]


def test_what_is_encrypted_cannot_be_compared(notes: Any) -> None:
    with pytest.raises(FieldError, match="Unsupported lookup 'exact' for EncryptedJsonField"):
        notes.filter(config={"a": 1})


@pytest.mark.parametrize(
    "value", [{1: "a"}, {"a": object()}, 2**64, "\ud800"], ids=["key", "object", "int", "surrogate"]
)
@pytest.mark.parametrize("column", ["plain", "config"])
def test_what_json_cannot_say_is_a_type_error(notes: Any, column: str, value: Any) -> None:
    with pytest.raises(TypeError):
        notes.create(**{column: value})
    assert notes.count() == 0


def without_the_key() -> Any:
    return override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[])


def test_a_lost_key_is_told_at_the_first_use_and_not_before(notes: Any) -> None:
    made = notes.create(plain=1, config={"a": 1})
    with without_the_key():
        note = notes.get()
        assert note.plain == 1
        for _ in range(2):
            with pytest.raises(SecretUnreadable):
                _ = note.config
        note.refresh_from_db(fields=["plain"])
        deferred = notes.defer("config").get()
        with pytest.raises(SecretUnreadable):
            _ = deferred.config
    assert (note.config, deferred.config, made.config) == ({"a": 1},) * 3


def test_a_row_whose_key_is_lost_is_saved_as_it_was_and_can_be_given_another_value(notes: Any) -> None:
    notes.create(plain=1, config={"a": 1})
    before = stored("config")
    with without_the_key():
        note = notes.get()
        note.plain = 2
        note.save()
        assert stored("config") == before
        note.config = {"b": 2}
        note.save()
        assert (notes.get().plain, notes.get().config) == (2, {"b": 2})
    with pytest.raises(SecretUnreadable):
        _ = notes.get().config


def test_a_value_changed_in_place_is_saved(notes: Any) -> None:
    notes.create(config={"a": [1]})
    note = notes.get()
    note.config["a"].append(2)
    note.save()
    assert notes.get().config == {"a": [1, 2]}


def test_an_empty_object_outlives_a_lost_key(notes: Any) -> None:
    notes.create(config={})
    assert stored("config") == "{}"
    with without_the_key():
        assert notes.get().config == {}


def test_what_was_put_into_the_column_by_hand_is_not_taken(notes: Any) -> None:
    notes.create(config={})
    for text in ('{"a": 1}', "[]", "", "{} ", "\u00e9"):
        with connections["fair"].cursor() as cursor:
            cursor.execute("UPDATE core_tests_note SET config = %s", [text])
        with pytest.raises(SecretUnreadable):
            _ = notes.get().config


@given(
    st.recursive(
        st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])), st.lists
    )
)
def test_floats_and_texts_round_trip(value: Any) -> None:
    plain, sealed = JsonField(), EncryptedJsonField()
    assert repr(plain.from_db_value(plain.get_prep_value(value), None, None)) == repr(value)
    found = sealed.from_db_value(sealed.get_prep_value(value), None, None)
    assert found is not None
    assert repr(found.open()) == repr(value)


@pytest.mark.django_db
def test_a_dump_is_loaded_again_and_keeps_secrets(alice: Person) -> None:
    config = {"b": 1, "api_key": "hunter2"}
    agent = Agent.objects.create(
        org=alice.org, name="dumped", type="custom", backend="echo", config=config, capabilities=["z", {"y": 1.0}]
    )
    dump = serializers.serialize("json", [agent])
    assert "hunter2" not in dump
    fields = orjson.loads(dump)[0]["fields"]
    assert fields["capabilities"] == ["z", {"y": 1.0}]
    assert fields["config"].startswith(SEALED)
    Agent.objects.filter(pk=agent.pk).delete()
    (loaded,) = serializers.deserialize("json", dump)
    loaded.save()
    stored = Agent.objects.get(pk=agent.pk)
    assert (stored.config, stored.capabilities) == (config, ["z", {"y": 1.0}])


def test_a_dump_under_a_lost_key_is_not_valid() -> None:
    with pytest.raises(ValidationError, match="neither SECRET_KEY nor"):
        EncryptedJsonField().to_python(SEALED + "nonsense")


@pytest.mark.parametrize("field", [JsonField(null=True), EncryptedJsonField(default=dict, blank=True)])
def test_migrations_can_write_it_down(field: JsonField) -> None:
    text, imports = MigrationWriter.serialize(field)
    assert text.startswith(f"taskmaster.core.fields.{type(field).__name__}(")
    assert imports == {"import taskmaster.core.fields"}
    _, path, arguments, options = field.deconstruct()
    again = type(field)(*arguments, **options)
    assert again.deconstruct()[1:] == (path, arguments, options)


def test_a_shared_default_is_warned_of() -> None:
    field = JsonField(default={})
    field.set_attributes_from_name("shared")
    assert [problem.id for problem in field._check_default()] == ["fields.E010"]


def test_empty_containers_are_values() -> None:
    for value in ({}, [], "", 0):
        assert JsonField().clean(value, None) == value
    with pytest.raises(ValidationError):
        JsonField().clean(None, None)


def test_a_form_shows_a_value_and_takes_it_back_untouched(notes: Any) -> None:
    note = notes.create(plain={"b": [1, 2.0], "a": "é"}, config="text")
    form = NoteForm(instance=note)
    assert form["plain"].value() == '{\n  "b": [\n    1,\n    2.0\n  ],\n  "a": "é"\n}'
    assert form["config"].value() == '"text"'
    assert isinstance(form.fields["plain"].widget, forms.Textarea)
    shown = {name: form[name].value() for name in form.fields}
    again = NoteForm({**shown, form["config"].html_initial_name: shown["config"]}, instance=note)
    assert again.is_valid()
    assert again.changed_data == []
    assert list(again.cleaned_data["plain"].items()) == [("b", [1, 2.0]), ("a", "é")]


def test_a_form_refuses_what_the_api_refuses_and_shows_what_was_typed() -> None:
    typed = '{"a": 1, "a": 2}'
    form = NoteForm({"plain": typed, "config": "{}"})
    assert form.errors == {"plain": ["This is not valid JSON: the key 'a' stands twice in one object."]}
    assert form["plain"].value() == typed


def test_an_emptied_textarea_is_null_or_the_default(notes: Any) -> None:
    note = Note(plain={"a": 1}, config={"b": 2})
    form = NoteForm({"plain": "", "config": " "}, instance=note)
    form.fields["plain"].required = False
    assert form.is_valid()
    form.save(commit=False).save(using="fair")
    assert columns(notes) == [(None, {})]


def test_a_required_textarea_takes_empty_containers_and_not_nothing() -> None:
    field = JsonFormField()
    assert (field.clean("{}"), field.clean("[]"), field.clean('""'), field.clean("0")) == ({}, [], "", 0)
    with pytest.raises(ValidationError, match="required"):
        field.clean("")


def test_the_admins_own_widget_is_used() -> None:
    class Wide(forms.Textarea):
        pass

    assert isinstance(JsonField().formfield(widget=Wide).widget, Wide)
