"""Secrets in text. Those here are made up, and put together so that no scanner finds them."""

from __future__ import annotations

import base64
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.files.secrets import REDACTED, redact, secrets_in

RANDOM = random.Random(20)
LETTERS = string.ascii_letters + string.digits


def letters(count: int, alphabet: str = LETTERS) -> str:
    return "".join(RANDOM.choices(alphabet, k=count))


def web_token() -> str:
    parts = (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"1234567890","admin":true}', bytes(range(32)))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def private_key(line_end: str = "\n") -> str:
    lines = [letters(64) for _ in range(6)] + [letters(20) + "=="]
    return line_end.join(
        ["-----BEGIN RSA " + "PRIVATE KEY-----", *lines, "-----END RSA " + "PRIVATE KEY-----"]
    )


HEX = letters(40, "0123456789abcdef")
BASE64 = "q7Zp0LmX3vBc8RtY1KdWs5NfHe2GjUaT9oI4"


@pytest.mark.parametrize(
    ("before", "secret", "behind"),
    [
        ("aws_id = '", "AKIA" + letters(16, string.ascii_uppercase), "'"),
        ("url: ", "ghp_" + letters(36), " # mine"),
        ("", "github_pat_" + letters(60), ""),
        ("f('", "glpat-" + letters(20), "')"),
        ("Authorization: Bearer ", web_token(), ""),
        ('x("', "xoxb-123456789012-1234567890123-" + letters(24), '")'),
        ("stripe = ", "sk_live_" + letters(24), ";"),
        ("x = '", "sk-ant-" + letters(40), "'"),
        ("key: ", "AIza" + letters(35), ""),
        ("", "hf_" + letters(34, string.ascii_letters), ""),
        ("DefaultEndpointsProtocol=https;", "AccountKey=" + letters(86) + "==", ";X=1"),
        ("db = 'postgres://admin:", "s3cr3t", "@db.internal/main'"),
        ('api_key = "', BASE64, '"'),
        ('  "client_secret": "', BASE64, '",'),
        ("let token: &str = '", HEX, "';"),
        ('const accessToken string = "', HEX, '"'),
        ("self.token := '", HEX, "'"),
        ("os.environ['SECRET_KEY'] = '", BASE64, "'"),
        ("  api-key: ", BASE64, ""),
        ("aws_secret_access_key=", BASE64, " # prod"),
        ("connect(password='", "hunter22!", "')"),
        ('"password" => "', "P@$$w0rd!", '"'),
        ('if password == "', "tr0ub4dor&3", '":'),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_secret_is_replaced_where_it_stands(
    before: str, secret: str, behind: str, line_end: str
) -> None:
    text = f"a = 1{line_end}{before}{secret}{behind}{line_end}b = 2"
    assert redact(text) == f"a = 1{line_end}{before}{REDACTED}{behind}{line_end}b = 2"
    assert secrets_in(text)


@pytest.mark.parametrize(
    "line",
    [
        "token = get_token_from_2nd_place(1)",
        'key = "user_profile_settings_v2_key"',
        "secret_key = settings.SECRET_KEY_V2_FALLBACK_ONE",
        'password = "password1"',
        'password = "<your password 1>"',
        'password: "${DB_PASSWORD_1}"',
        "password = os.environ['DB_PASSWORD_1']",
        'token = "xxxxxxxxxxxxxxxxxxxxxxxx1"',
        f'sha1 = "{HEX}"',
        f'public_key = "{BASE64}"',
        'primary_key = "customer_id_2"',
        "postgres://user:{password}@host",
        "postgres://user:mypassword@host",
        "dna = 'GGTAAACCACGCTGACGCTGCAGGTGATCGCC'",
        "postgres://user:${PASSWORD}@host",
        "see http://example.org:8080/a@b",
        'def test(token: str = "abc"): ...',
        "the eyJ of a token. And AKIA, ghp_ and sk_live_",
        'if b"-----BEGIN ' + 'PRIVATE KEY-----" in content:',
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redact(line) == line
    assert not secrets_in(line)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("indentation", ["", "    "])
def test_private_keys_are_redacted_whole(line_end: str, indentation: str) -> None:
    key = private_key(line_end).replace(line_end, line_end + indentation)
    text = f"KEY = '''{line_end}{indentation}{key}{line_end}'''{line_end}x = 1{line_end}"
    header, *body, footer = key.split(line_end)
    redacted = redact(text)
    assert redacted.split(line_end) == [
        "KEY = '''",
        indentation + header,
        *[indentation + REDACTED for _ in body],
        footer,
        "'''",
        "x = 1",
        "",
    ]


def test_a_private_key_on_one_line_is_redacted() -> None:
    redacted = redact('{"private_key": "' + private_key("\\n") + '", "x": 1}')
    assert redacted == (
        '{"private_key": "-----BEGIN RSA '
        f"PRIVATE KEY-----{REDACTED}-----END RSA "
        'PRIVATE KEY-----", "x": 1}'
    )


def test_a_private_key_cut_off_is_redacted_up_to_the_cut() -> None:
    key = "\n".join(private_key().split("\n")[:5])
    assert redact(f"{key}\ndef f(): ...") == "\n".join(
        [key.split("\n")[0], *[REDACTED] * 4, "def f(): ..."]
    )


def test_code_between_the_two_marks_of_a_key_stays() -> None:
    lines = ["-----END RSA " + "PRIVATE KEY-----'", "", "def load_private_key(path): return path"]
    text = "\n".join(["A = '-----BEGIN RSA " + "PRIVATE KEY-----'", "B = 1", *lines])
    assert redact(text) == text


@pytest.mark.parametrize("length", [20, 24, 32, 64])
def test_nearly_every_random_key_is_found(length: int) -> None:
    keys = [letters(length, LETTERS + "+/") for _ in range(300)]
    found = sum(bool(secrets_in(f'api_key = "{key}"')) for key in keys)
    # A short string can look regular by chance; this is far below what was measured (0.93).
    assert found > 0.85 * len(keys)


PIECES = [
    *("\n", "\r\n", " ", "'", ".", ":", "@", "://", "\0", "é", "\ud800"),
    *("password='", "token = ", HEX, letters(64), "AKIA", "eyJ", REDACTED),
    *("-----BEGIN " + "PRIVATE KEY-----", "-----END "),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@given(st.one_of(TEXTS, st.text(st.characters())))
def test_lines_stay_lines_and_redacting_twice_changes_nothing(text: str) -> None:
    redacted = redact(text)
    assert redacted.count("\n") == text.count("\n")
    assert redact(redacted) == redacted


@given(TEXTS)
def test_a_text_has_a_secret_exactly_if_redacting_changes_it(text: str) -> None:
    assert bool(secrets_in(text)) == (redact(text) != text)


@pytest.mark.parametrize("piece", ["eyJ", "://a:", ":::::@", "-----BEGIN " + "PRIVATE KEY-----"])
def test_long_hostile_lines_are_redacted_in_time(piece: str) -> None:
    # The suite's limit on a test's time is what fails here: quadratic search would take hours.
    text = "x = '" + piece * (300_000 // len(piece)) + "'"
    assert len(redact(text)) <= len(text)
