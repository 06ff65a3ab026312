import json
from typing import Any

import pytest
from pydantic import SecretStr

from hansard.observability import redaction
from hansard.observability.redaction import conceal, redact
from hansard.settings import Settings, secrets


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Cannot use sk-proj-abcdefghijklmnopqrstuvwxyz.", "abcdefghijklmnop"),
        ("signed with whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "C2FVsBQIhrsc"),
        ("HF_TOKEN hf_AbCdEfGhIjKlMnOpQrStUvWxYz", "AbCdEfGhIj"),
        ("aws AKIAIOSFODNN7EXAMPLE refused", "IOSFODNN7EXAMPLE"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F292c"),
        ("xoxb-123456789012-abcdefghij", "123456789012"),
        ("glpat-abcdefghijklmnopqrst", "abcdefghijkl"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "SyA1234567890"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN", "eyJzdWIiOiIxMjM0In0"),
        ("Authorization: Bearer abcdef", "abcdef"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
        ("sent Bearer abc.def-ghi_jkl", "abc.def-ghi_jkl"),
        ("postgresql://hansard:hunter2@db/hansard", "hunter2"),
        ("postgresql+psycopg://hansard:hunter2@db/hansard", "hunter2"),
        ("https://user:hunter2@proxy:3128", "hunter2"),
        ("slack://TokenA/TokenB/TokenC/#general", "TokenB"),
        ("mailtos://me:pass@example.com?to=you@example.com", "pass"),
        ("tgram://123456:ABC-DEF/987654", "ABC-DEF"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "JHMHI8qBe7bk"),
        ("https://hooks.slack.com/services/T1H9/B1H9/7yUbmR2wq", "7yUbmR2wq"),
        ("https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk", "JHMHI8qBe7bk"),
        ("https://acme.webhook.office.com/webhookb2/abc@def/IncomingWebhook/x", "webhookb2"),
        ("https://api.telegram.org/bot123456:ABC-DEF/sendMessage", "ABC-DEF"),
        ("GET https://bucket/o?X-Amz-Signature=0123456789abcdef&a=1", "0123456789abcdef"),
        ("https://example.com/hook?token=s3cretvalue", "s3cretvalue"),
        ('{"password": "correct horse"}', "correct"),
        ('{\\"api_key\\": \\"0123456789\\"}', "0123456789"),
        ("password=hunter22 host=db", "hunter22"),
        ("client_secret=abcd1234", "abcd1234"),
    ],
)
@pytest.mark.parametrize("wrapped", [str, lambda text: json.dumps({"message": text, "n": 1})])
def test_what_looks_like_a_secret_is_not_shown(text: str, secret: str, wrapped: Any) -> None:
    shown = redact(wrapped(text))

    assert secret not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "task-12345678901234 basic recognition",
        "host=db port=5432 tokens=17 key=transcriptions/1",
        "https://example.com/audio/0193ab12?limit=5",
        "s3://bucket/prefix and file:///var/lib/hansard",
        "postgresql://hansard@db/hansard",
        "Bearer of bad news",
        "The secretary signed it; a monkey had no passwords.",
        "The API key was refused",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert redact(text) == text


def test_redacting_leaves_a_json_line_whole() -> None:
    line = {"message": 'password="hunter22" and slack://a/b/c', "url": "https://u:p4ssw0rd@h/x", "seconds": 1.5}

    assert json.loads(redact(json.dumps(line)))["seconds"] == 1.5


@pytest.fixture
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_KNOWN", set())


@pytest.mark.usefixtures("_nothing_known")
def test_the_values_of_secret_settings_are_hidden_whatever_they_look_like() -> None:
    settings = Settings(
        _env_file=None,
        openai_api_key=SecretStr("Tr0ub4dor&3\n"),
        huggingface_token=SecretStr('quo"ted-token'),
        traces_headers=SecretStr("x-honeycomb-team=hny-key-17,x-other=plainvalue"),
        database_url="postgresql://hansard:dbpassw0rd@db/hansard",
    )
    conceal(secrets(settings))

    text = redact('{"a": "Tr0ub4dor&3 quo\\"ted-token hny-key-17 plainvalue dbpassw0rd x-honeycomb-team"}')
    assert json.loads(text)["a"] == "*** *** *** *** *** x-honeycomb-team"


@pytest.mark.usefixtures("_nothing_known")
def test_a_value_so_short_that_it_is_in_many_words_is_left() -> None:
    conceal(["none", ""])

    assert redact("none of them") == "none of them"
