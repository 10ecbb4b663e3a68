"""The greeting over UDP as a first Python program has it: a datagram, an answer. usage: datagrams.py PORT"""
import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", int(sys.argv[1])))
    while True:
        name, client = server.recvfrom(65536)
        server.sendto(b"Hello, " + name.rstrip(b"\r\n") + b"!\n", client)
