"""The other side of grpc-interop.test.ts: Google's gRPC for Python as server (`serve`) and as client (`call PORT`)."""

import sys
from concurrent import futures

import grpc

IDENTITY = lambda message: message
ROOT = open(sys.argv[2], "rb").read()
LARGE = 20 * 1024 * 1024
LIMITS = [("grpc.max_receive_message_length", 2 * LARGE), ("grpc.max_send_message_length", 2 * LARGE)]


def echo(request, context):
    context.send_initial_metadata((("x-seen", dict(context.invocation_metadata()).get("x-tenant", "")),))
    return request


def refuse(request, context):
    context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you, % of them: \u00f1 \u4e2d")


def echoes(requests, context):
    for request in requests:
        yield request


def count(requests, context):
    for number in range(3):
        yield str(number).encode()
    context.abort(grpc.StatusCode.ABORTED, "enough")


def hang(request, context):
    while context.is_active():
        futures.wait([], timeout=0.01)


def large(requests, context):
    yield bytes(LARGE)
    for _ in requests:
        pass


HANDLERS = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
    "Hang": grpc.unary_unary_rpc_method_handler(hang),
    "Echoes": grpc.stream_stream_rpc_method_handler(echoes),
    "Count": grpc.stream_stream_rpc_method_handler(count),
    "Large": grpc.stream_stream_rpc_method_handler(large),
}


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=LIMITS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", HANDLERS),))
    chain, key = (open(path, "rb").read() for path in sys.argv[3:5])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(1).wait()


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", ""


def expect(what, actual, wanted):
    if actual != wanted:
        raise SystemExit(f"{what}: {actual!r}, wanted {wanted!r}")


def call():
    address = f"127.0.0.1:{sys.argv[3]}"
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(ROOT), options=LIMITS) as channel:
        unary = lambda name: channel.unary_unary(f"/test/{name}", IDENTITY, IDENTITY)
        stream = lambda name: channel.stream_stream(f"/test/{name}", IDENTITY, IDENTITY)
        expect("echo", unary("Echo")(b"hello", timeout=5), b"hello")
        expect("empty", unary("Echo")(b"", timeout=5), b"")
        metadata = unary("Metadata")(b"", metadata=(("x-tenant", "blue"),), timeout=5)
        expect("metadata", b'["x-tenant","blue"]' in metadata, True)
        refused = status_of(lambda: unary("Refuse")(b"x", timeout=5))
        expect("refuse", refused, ("PERMISSION_DENIED", "not you, % of them: \u00f1 \u4e2d"))
        expect("unimplemented", status_of(lambda: unary("Nothing")(b"x", timeout=5))[0], "UNIMPLEMENTED")
        expect("deadline", status_of(lambda: unary("Hang")(b"x", timeout=0.1))[0], "DEADLINE_EXCEEDED")
        expect("too large", status_of(lambda: unary("Small")(bytes(5000), timeout=5))[0], "RESOURCE_EXHAUSTED")
        words = [str(number).encode() for number in range(100)]
        expect("echoes", list(stream("Echoes")(iter(words), timeout=5)), words)
        received = []
        counting = stream("Count")(iter([b"go"]), timeout=5)
        expect("count", status_of(lambda: received.extend(counting))[0], "ABORTED")
        expect("large", [len(m) for m in stream("Echoes")(iter([bytes(LARGE)]), timeout=20)], [LARGE])
        for _ in range(300):
            expect("many", unary("Echo")(b"again", timeout=5), b"again")
    print("fine", flush=True)


if sys.argv[1] == "serve":
    serve()
else:
    call()
