"""Makes the certificates of the TLS fronts, each in one file with its key, and of a client.

    certificates.py DIRECTORY

ca.pem signed all but unknown-ca.pem. The client has two files, client.crt and client.key.
"""
import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
HERE = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
PEM = serialization.Encoding.PEM


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def builder(subject, issuer, key, until):
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 2 * DAY)
        .not_valid_after(until)
    )


class Authority:
    def __init__(self, subject):
        self.subject = subject
        self.key = ec.generate_private_key(ec.SECP256R1())
        made = builder(subject, subject, self.key, NOW + 3650 * DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.pem = made.sign(self.key, hashes.SHA256()).public_bytes(PEM)

    def issue(self, subject, usage, names, until=NOW + 3649 * DAY):
        """The certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            builder(subject, self.subject, key, until)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(PEM), key.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def main(directory):
    def write(file, *parts):
        (directory / file).write_bytes(b"".join(parts))

    directory.mkdir(exist_ok=True)
    server = ExtendedKeyUsageOID.SERVER_AUTH
    elsewhere = [x509.DNSName("elsewhere.example")]
    ca = Authority("glance-replicator lab CA")
    write("ca.pem", ca.pem)
    write("right.pem", *ca.issue("127.0.0.1", server, HERE))
    write("wrong-host.pem", *ca.issue("elsewhere.example", server, elsewhere))
    write("expired.pem", *ca.issue("127.0.0.1", server, HERE, until=NOW - DAY))
    unknown = Authority("another CA")
    write("unknown-ca.pem", *unknown.issue("127.0.0.1", server, HERE))
    certificate, key = ca.issue(
        "client", ExtendedKeyUsageOID.CLIENT_AUTH, [x509.DNSName("client.example")]
    )
    write("client.crt", certificate)
    write("client.key", key)


main(pathlib.Path(sys.argv[1]))
