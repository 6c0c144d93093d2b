"""A TLS front of one server of the lab, which speaks HTTP and closes after each answer.

    tls_front.py DIRECTORY PORT TARGET_PORT CERTIFICATE [CLIENT_CA]

The bytes of requests and answers pass as they are, at the pace of the slower side; only the
header that tells a server of the TLS in front of it is added. With CLIENT_CA a client must
show a certificate of that authority.
"""
import asyncio
import asyncio.sslproto
import ssl
import sys

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def copy(reader, writer):
    """Until the end of what is read; if either side breaks, so does the writer."""
    try:
        while chunk := await reader.read(262144):
            writer.write(chunk)
            await writer.drain()
        writer.close()
    except OSError:
        writer.transport.abort()


async def exchange(target_port, client_reader, client_writer):
    try:
        head = await client_reader.readuntil(b"\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", target_port)
    except ConnectionRefusedError:
        client_writer.write(BAD_GATEWAY)
        client_writer.close()
        return
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        client_writer.transport.abort()
        return
    writer.write(head[:-2] + b"X-Forwarded-Proto: https\r\n\r\n")
    upload = asyncio.create_task(copy(client_reader, writer))
    await copy(reader, client_writer)
    upload.cancel()
    writer.close()


class TellingProtocol(asyncio.sslproto.SSLProtocol):
    """Tells a refused client why, by the alert that asyncio forgets to send."""

    def _on_handshake_complete(self, error):
        if error:
            self._process_outgoing()
        super()._on_handshake_complete(error)


async def main(_directory, port, target_port, certificate, client_ca=None):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    asyncio.sslproto.SSLProtocol = TellingProtocol
    server = await asyncio.start_server(
        lambda reader, writer: exchange(int(target_port), reader, writer),
        "127.0.0.1", int(port), ssl=context, limit=262144,
    )
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
