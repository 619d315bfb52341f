"""A Sigstore of the tests' own on the loopback: who gives out certificates, and the logs that know of all of them.

It stands for what Sigstore runs for everybody, with keys of its own and the same rules: certificates that hold a
timestamp of the certificates' log (RFC 6962), and a log of signatures that answers with a signed promise and a proof.
"""

import base64
import hashlib
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
"""Where Sigstore's certificates name who vouches for the identity."""
CERTIFICATE_TIMESTAMPS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
CLOCK_SKEW = timedelta(minutes=1)


class Sigstore:
    """Its keys, its certificate and what it logs."""

    def __init__(self) -> None:
        self.authority, self.certificates_log, self.log = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self.address = ""
        self.entries = 0
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.root = (
            _builder(name, self.authority.public_key(), timedelta(days=1))
            .subject_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key()), critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    def token(self, who: str, seconds: int = 600) -> str:
        """An identity token for somebody, as an issuer would sign it; here nobody checks that signature."""
        now = int(time.time())
        claims = {"iss": self.address, "sub": who, "aud": "sigstore", "iat": now, "nbf": now - 60, "exp": now + seconds}
        parts = [_url64(json.dumps(part).encode()) for part in ({"alg": "none", "typ": "JWT"}, claims)]
        return ".".join([*parts, ""])

    def trust(self) -> dict[str, Any]:
        """What a client has to trust, and the addresses of the services, in Sigstore's own format."""
        always = {"start": "2020-01-01T00:00:00Z"}
        service = {"url": self.address, "majorApiVersion": 1, "validFor": always, "operator": "tests"}

        def log(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
            public = {
                "rawBytes": _base64(_der(key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": always,
            }
            return {
                "baseUrl": self.address,
                "hashAlgorithm": "SHA2_256",
                "publicKey": public,
                "logId": {"keyId": _base64(_key_id(key))},
            }

        authority = {
            "subject": {"organization": "tests", "commonName": "tests"},
            "uri": self.address,
            "certChain": {"certificates": [{"rawBytes": _base64(self.root.public_bytes(Encoding.DER))}]},
            "validFor": always,
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log(self.log)],
                "certificateAuthorities": [authority],
                "ctlogs": [log(self.certificates_log)],
            },
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service],
                "oidcUrls": [service],
                "rekorTlogUrls": [service],
                "rekorTlogConfig": {"selector": "ANY"},
                "tsaConfig": {"selector": "ANY"},
            },
        }

    def certify(self, request: dict[str, str], bearer: str) -> dict[str, Any]:
        """Give out a certificate for the identity that a token names."""
        claims = json.loads(base64.urlsafe_b64decode(bearer.split(".")[1] + "=="))
        asked = x509.load_pem_x509_csr(base64.b64decode(request["certificateSigningRequest"]))
        name = x509.UniformResourceIdentifier if "://" in claims["sub"] else x509.RFC822Name
        builder = (
            _builder(self.root.subject, asked.public_key(), timedelta(minutes=10))
            .subject_name(x509.Name([]))
            .add_extension(x509.SubjectAlternativeName([name(claims["sub"])]), critical=True)
            .add_extension(
                x509.KeyUsage(True, False, False, False, False, False, False, False, False),
                critical=True,
            )
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.UnrecognizedExtension(ISSUER, claims["iss"].encode()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key()),
                critical=False,
            )
        )
        timestamps = self._timestamps(builder.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes)
        logged = builder.add_extension(x509.UnrecognizedExtension(CERTIFICATE_TIMESTAMPS, timestamps), critical=False)
        chain = [logged.sign(self.authority, hashes.SHA256()), self.root]
        pems = [one.public_bytes(Encoding.PEM).decode() for one in chain]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": pems}}}

    def _timestamps(self, certificate: bytes) -> bytes:
        """The certificates' log's promise to hold a certificate (RFC 6962, 3.2), as an extension holds it."""
        now = int(time.time() * 1000)
        entry = _key_id(self.authority) + struct.pack("!I", len(certificate))[1:] + certificate
        signed = _sign(self.certificates_log, struct.pack("!BBQH", 0, 0, now, 1) + entry + struct.pack("!H", 0))
        one = struct.pack("!B32sQH", 0, _key_id(self.certificates_log), now, 0)
        one += struct.pack("!BBH", 4, 3, len(signed)) + signed
        listed = struct.pack("!HH", len(one) + 2, len(one)) + one
        return b"\x04" + bytes([0x81, len(listed)] if len(listed) > 127 else [len(listed)]) + listed

    def enter(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """Log a signature, each in a tree of its own: the proof that it is in is then short."""
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        [signature], [verifier] = envelope["signatures"], content["verifiers"]
        spec = {
            "envelopeHash": _hash(content["envelope"].encode()),
            "payloadHash": _hash(base64.b64decode(envelope["payload"])),
            "signatures": [{"signature": signature["sig"], "verifier": verifier}],
        }
        body = _canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        root = hashlib.sha256(b"\x00" + body).digest()
        note = f"tests - 1\n1\n{_base64(root)}\n"
        note_signature = _base64(_key_id(self.log)[:4] + _sign(self.log, note.encode()))
        entry = {
            "body": _base64(body),
            "integratedTime": int(time.time()),
            "logID": _key_id(self.log).hex(),
            "logIndex": 0,
        }
        verification = {
            "signedEntryTimestamp": _base64(_sign(self.log, _canonical(entry))),
            "inclusionProof": {
                "logIndex": 0,
                "rootHash": root.hex(),
                "treeSize": 1,
                "hashes": [],
                "checkpoint": f"{note}\n\N{EM DASH} tests {note_signature}\n",
            },
        }
        self.entries += 1
        return {root.hex(): {**entry, "verification": verification}}


@contextmanager
def running_sigstore() -> Iterator[Sigstore]:
    """Serve one on a free port of the loopback."""
    sigstore = Sigstore()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path.endswith("/.well-known/openid-configuration")
            self._answer({"authorization_endpoint": sigstore.address, "token_endpoint": sigstore.address})

        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/api/v2/signingCert":
                self._answer(sigstore.certify(given, self.headers["Authorization"].removeprefix("Bearer ")))
            else:
                assert self.path == "/api/v1/log/entries"
                self._answer(sigstore.enter(given))

        def _answer(self, content: dict[str, Any]) -> None:
            encoded = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sigstore.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield sigstore
        server.shutdown()


def _builder(issuer: x509.Name, key: Any, valid: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().issuer_name(issuer).public_key(key).serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - CLOCK_SKEW).not_valid_after(now + valid)


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def _der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_der(key)).digest()


def _canonical(content: dict[str, Any]) -> bytes:
    """JSON as RFC 8785 writes it, of content without fractions and of ASCII alone."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _hash(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
