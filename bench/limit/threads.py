"""The greeting server as a first Python program has it: a thread for each client. usage: threads.py PORT"""
import socket
import sys
import threading


def serve(client):
    with client, client.makefile("rwb") as stream:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.write(b"Welcome!\n")
        stream.flush()
        for line in stream:
            name = line.rstrip(b"\r\n")
            if name == b"exit":
                return
            stream.write(b"Hello, " + name + b"!\n")
            stream.flush()


threading.stack_size(128 * 1024)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
