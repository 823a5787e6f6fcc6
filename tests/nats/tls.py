"""Speaks to a NATS server as a client with TLS does: tls.py ADDRESS PORT CERTIFICATE USER PASSWORD. Prints what it is answered."""

import json
import socket
import ssl
import sys

address, port, certificate, user, password = sys.argv[1:]
plain = socket.create_connection((address, int(port)), timeout=20)
greeting = plain.recv(65536)
assert greeting.startswith(b"INFO ") and json.loads(greeting[5:])["tls_required"], greeting
with ssl.create_default_context(cafile=certificate).wrap_socket(plain, server_hostname=address) as server:
    connect = json.dumps({"verbose": False, "tls_required": True, "user": user, "pass": password, "lang": "python", "version": "0"})
    server.sendall(f"CONNECT {connect}\r\nPING\r\n".encode())
    print(server.recv(65536).decode().strip())
